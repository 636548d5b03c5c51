use super::*;
use crate::clock::WallClock;
use crate::store::embedded::EmbeddedOptions;

fn load(flags: &[(&str, &str)]) -> Result<Config, String> {
    let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Config::load(Sources { flags, ..Sources::default() }).map_err(|error| error.to_string())
}

#[test]
fn the_manual_says_what_the_code_does() {
    let config = load(&[]).unwrap();
    assert_eq!(format!("{:?}", config.node_options), format!("{:?}", NodeOptions::default()));
    assert_eq!(format!("{:?}", config.limits), format!("{:?}", Limits::default()));
    let embedded = EmbeddedOptions::new(std::sync::Arc::new(WallClock));
    assert_eq!((config.event_log.segment_bytes, config.event_log.keep), (embedded.segment_bytes, embedded.log_retention));
    assert_eq!(config.store, StoreChoice::Embedded("./adjourn-data".into()));
}

#[test]
fn flags_beat_the_environment_beats_the_file_beats_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("adjourn.toml");
    std::fs::write(&file, "node = \"file\"\nretention = \"7d\"\n[auto_close]\nmin_period = \"1m\"\n").unwrap();
    let environment = [
        ("ADJOURN__NODE", "environment"),
        ("ADJOURN__LIMITS__EVENTS", "7"),
        ("ADJOURN__DEFAULTS__AUTO_CLOSE__ENABLED", "true"),
        ("ADJOURN__AUTO_CLOSE__MIN_PERIOD", "1s"),
        ("ADJOURN_URL", "ignored"),
    ];
    let sources = Sources {
        file: Some(file),
        environment: environment.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        flags: vec![("node".to_owned(), "flag".to_owned())],
    };
    let config = Config::load(sources).unwrap();
    assert_eq!(&*config.node_options.node, "flag");
    assert_eq!(config.node_options.bounds.min_period, Span::from_secs(1));
    assert_eq!((config.limits.events, config.node_options.defaults.enabled), (7, true));
    assert_eq!(config.node_options.retention, Span::from_days(7));
    assert_eq!(config.node_options.bounds.max_period, Span::from_days(14));
}

#[test]
fn mistakes_are_named() {
    for (key, value, says) in [
        ("lisen", "127.0.0.1:1", "lisen"),
        ("auto_close.min_perod", "1s", "min_perod"),
        ("keys.operator", "too short", "at least 32"),
        ("tls.cert_file", "tls.crt", "tls.key_file"),
        ("tls.key_file", "tls.key", "tls.cert_file"),
        ("keys.operator", "with blanks in it, and long enough otherwise", "at least 32"),
        ("listen", "8080", "ADDRESS:PORT"),
        ("store", "postgres://localhost", "embedded:DIRECTORY"),
        ("store", "embedded:", "embedded:DIRECTORY"),
        ("store", "redis://", "a host is missing"),
        ("store", "redis+cluster://a,b/3", "database 0 only"),
        ("durability", "always", "standard or strict"),
        ("durability.replicas", "1", "durability.mode"),
        ("durability.replicas", "6", "0 to 5"),
        ("partitions", "0", "1 to 1024"),
        ("retention", "forever", "is not a duration"),
        ("auto_close.max_period", "1m", "auto_close.max_period"),
        ("defaults.auto_close.period", "1m", "auto_close.period"),
        ("horizon", "2s", "three times"),
        ("batch_behind", "1", "batch_behind"),
        ("event_log.segment_bytes", "1", "event_log.segment_bytes"),
        ("limits.stall", "31s", "limits.stall"),
        ("log.format", "xml", "text or json"),
        ("log.level", "inf", "one of off"),
        ("limits.buffered_bytes", "5000", "limits.buffered_bytes"),
        ("node", "", "node"),
        ("address", "10.0.0.7:8080", "must be a URL"),
        ("lease", "0s", "lease"),
        ("writer.timeout", "0s", "writer.timeout"),
        ("writer.model", "small-1", "needs writer.base_url"),
        ("writer.key", "s3cret", "needs writer.base_url"),
        ("writer.base_url", "https://api.example.com/v1", "must name the model"),
    ] {
        let problem = load(&[(key, value)]).expect_err(key);
        assert!(problem.contains(says), "{key}={value}: {problem}");
    }
}

const REDIS: (&str, &str) = ("store", "redis://adjourn@redis.example.com");

fn redis(flags: &[(&str, &str)]) -> Result<RedisChoice, String> {
    match load(flags)?.store {
        StoreChoice::Redis(choice) => Ok(*choice),
        StoreChoice::Embedded(path) => panic!("embedded:{}", path.display()),
    }
}

/// Loads a file, with variables of the environment.
fn load_file(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("adjourn.toml");
    std::fs::write(&file, text).unwrap();
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Config::load(Sources { file: Some(file), environment, flags: Vec::new() }).map_err(|error| error.to_string())
}

#[test]
fn redis_is_named_by_its_url() {
    for (url, shown) in [
        ("redis://h", "redis://h:6379/0"),
        ("rediss://u:secret@h:1/2?ca=/ca.pem", "rediss://u@h:1/2"),
        ("redis+sentinel://h1,h2/main", "redis+sentinel://h1:26379,h2:26379/main?db=0"),
        ("redis+cluster://h1:7000,h2:7000", "redis+cluster://h1:7000,h2:7000/0"),
    ] {
        let choice = redis(&[("store", url)]).unwrap();
        assert_eq!((choice.target.to_string().as_str(), &*choice.prefix), (shown, "adjourn"));
    }
    assert_eq!(&*redis(&[REDIS, ("redis.prefix", "staging")]).unwrap().prefix, "staging");
    for prefix in ["", "a{b}", "a b", "a*"] {
        assert!(redis(&[REDIS, ("redis.prefix", prefix)]).unwrap_err().contains("redis.prefix"), "{prefix}");
    }
}

#[test]
fn durability_is_a_word_or_a_table_from_any_source() {
    let of = |config: Config| match config.store {
        StoreChoice::Redis(choice) => (choice.durability.strict, choice.durability.replicas),
        StoreChoice::Embedded(path) => panic!("embedded:{}", path.display()),
    };
    let store = format!("store = \"{}\"\n", REDIS.1);
    let word = format!("{store}durability = \"strict\"\n");
    let table = format!("{store}[durability]\nmode = \"strict\"\nreplicas = 2\n");
    assert_eq!(of(load_file(&store, &[]).unwrap()), (false, 0));
    assert_eq!(of(load_file(&word, &[]).unwrap()), (true, 0));
    assert_eq!(of(load_file(&table, &[]).unwrap()), (true, 2));
    assert_eq!(of(load_file(&store, &[("ADJOURN__DURABILITY", "strict")]).unwrap()), (true, 0));
    // One source does not wipe out what another said of the other half.
    assert_eq!(of(load_file(&table, &[("ADJOURN__DURABILITY", "strict")]).unwrap()), (true, 2));
    assert_eq!(of(load_file(&word, &[("ADJOURN__DURABILITY__REPLICAS", "1")]).unwrap()), (true, 1));
    assert_eq!(of(load(&[REDIS, ("durability.replicas", "1"), ("durability", "strict")]).unwrap()), (true, 1));
    assert!(load_file(&table, &[("ADJOURN__DURABILITY", "standard")]).unwrap_err().contains("durability.replicas"));
}

#[test]
fn the_embedded_store_is_durable_whatever_is_asked() {
    for mode in ["standard", "strict"] {
        assert!(matches!(load(&[("durability", mode)]).unwrap().store, StoreChoice::Embedded(_)));
    }
    let refused = load(&[("durability", "strict"), ("durability.replicas", "1")]).unwrap_err();
    assert!(refused.contains("has no replicas"), "{refused}");
}

#[test]
fn notifications_are_kept_as_room_allows() {
    let kept = |flags: &[_]| load(flags).unwrap().node_options.notifications_kept;
    assert_eq!(kept(&[]), 100_000);
    assert_eq!(kept(&[REDIS]), 5_000);
    assert_eq!(kept(&[REDIS, ("notifications.keep", "7")]), 7);
}

#[test]
fn the_password_comes_from_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let password = |flags: &[(&str, &str)]| {
        let choice = redis(&[&[REDIS], flags].concat())?;
        Ok::<_, String>(choice.target.login.password.map(|password| password.reveal().to_owned()))
    };
    let (one, empty, two) = (file("one", "s3cret \r\n"), file("empty", "\n"), file("two", "s3cret\nmore\n"));
    assert_eq!(password(&[]).unwrap(), None);
    assert_eq!(password(&[("redis.password", "s3cret")]).unwrap().as_deref(), Some("s3cret"));
    assert_eq!(password(&[("redis.password_file", &one), ("redis.password", "")]).unwrap().as_deref(), Some("s3cret "));
    for (flags, says) in [
        (&[("redis.password", "s3cret"), ("redis.password_file", &*one)][..], "one of them"),
        (&[("redis.password_file", &*empty)], "on one line"),
        (&[("redis.password_file", &*two)], "on one line"),
        (&[("redis.password_file", "/nowhere/at/all")], "/nowhere/at/all: No such file"),
        (&[("redis.password", "s3cret"), ("store", "redis://u:other@h")], "take it out there"),
    ] {
        let refused = password(flags).unwrap_err();
        assert!(refused.contains(says) && !refused.contains("s3cret") && !refused.contains("other"), "{refused}");
    }
}

const WRITER: [(&str, &str); 2] = [("writer.base_url", "https://api.example.com/v1"), ("writer.model", "small-1")];

fn writer(flags: &[(&str, &str)]) -> Result<WriterChoice, String> {
    Ok(load(&[WRITER.as_slice(), flags].concat())?.writer)
}

#[test]
fn who_writes_notes_is_named_by_a_url() {
    for flags in [&[][..], &[("writer.base_url", ""), ("writer.model", ""), ("writer.key", ""), ("writer.key_file", "")]] {
        assert!(matches!(load(flags).unwrap().writer, WriterChoice::BuiltIn));
    }
    let WriterChoice::Remote(remote) = writer(&[("writer.timeout", "3s")]).unwrap() else { panic!("built in") };
    assert_eq!((remote.base_url.as_str(), &*remote.model), (WRITER[0].1, WRITER[1].1));
    assert_eq!((remote.timeout, remote.key.is_none()), (Duration::from_secs(3), true));
    let WriterChoice::Remote(remote) = writer(&[]).unwrap() else { panic!("built in") };
    assert_eq!(remote.timeout, crate::edge::writers::RemoteOptions::new(remote.base_url, "m").timeout);
    for url in ["api.example.com", "ftp://h/v1", "https://u:s3cret@h/v1", "https://h/v1?key=s3cret", "https://h/#s3cret", "s3cret"] {
        let refused = writer(&[("writer.base_url", url)]).unwrap_err();
        assert!(refused.starts_with("writer.base_url: must") && !refused.contains("s3cret"), "{refused}");
    }
    assert!(writer(&[("writer.model", "a\nb")]).unwrap_err().contains("in one line"));
}

#[test]
fn a_writers_key_comes_from_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (one, empty, two) = (file("one", "s3cret\r\n"), file("empty", "\n"), file("two", "s3cret\nmore\n"));
    for flags in [("writer.key", "s3cret"), ("writer.key_file", &*one)] {
        let WriterChoice::Remote(remote) = writer(&[flags]).unwrap() else { panic!("built in") };
        assert!(remote.key.is_some());
    }
    for (flags, says) in [
        (&[("writer.key", "s3cret"), ("writer.key_file", &*one)][..], "one of them"),
        (&[("writer.key_file", &*empty)], "must hold the key on one line"),
        (&[("writer.key_file", &*two)], "must hold the key on one line"),
        (&[("writer.key_file", "/nowhere/at/all")], "/nowhere/at/all: No such file"),
        (&[("writer.key", "s3cret\u{7}")], "no key has"),
    ] {
        let refused = writer(flags).unwrap_err();
        assert!(refused.contains(says) && !refused.contains("s3cret"), "{refused}");
    }
}

#[test]
fn no_secret_is_shown() {
    for flags in
        [&[("store", "redis://u:hidden@h")][..], &[REDIS, ("redis.password", "hidden")], &[WRITER[0], WRITER[1], ("writer.key", "hidden")]]
    {
        let config = load(flags).unwrap();
        for shown in [format!("{config:?}"), serde_json::to_string(&config.raw).unwrap()] {
            assert!(!shown.contains("hidden"), "{shown}");
        }
    }
    // What is misread is quoted by whoever misreads it.
    for mistaken in ["[redis]\npassword = \"hidden\nprefix = \"a\"\n", "store = \"redis://u:hid/den@h\"\n", "store = redis://u:hidden@h\n"]
    {
        let problem = load_file(mistaken, &[]).unwrap_err();
        assert!(!problem.contains("hid"), "{problem}");
        assert!(problem.contains("line") || problem.contains("%2F"), "{problem}");
    }
}

#[test]
fn the_operator_may_take_the_risk() {
    assert!(load(&[("listen", "0.0.0.0:8080"), ("insecure", "true")]).is_ok());
    // Whether there are keys, the store says: `tests/start`.
    assert!(load(&[("listen", "0.0.0.0:8080")]).is_ok_and(|config| config.operator.is_none()));
    let config = load(&[("keys.operator", "0123456789abcdef0123456789abcdef")]).unwrap();
    assert!(config.operator.is_some() && !format!("{config:?}").contains("0123456789"));
    assert!(load(&[("listen", "localhost:0"), ("admin_listen", "[::1]:0"), ("partitions", "8")]).is_ok());
}
