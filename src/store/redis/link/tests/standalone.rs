//! One server: away, killed, slow, forgetful.

use std::sync::Arc;

use super::*;

fn quick() -> LinkOptions {
    LinkOptions { response_timeout: Duration::from_millis(300), ..LinkOptions::default() }
}

fn is_away<T: std::fmt::Debug>(outcome: &Result<T, LinkError>) -> bool {
    matches!(outcome, Err(LinkError::Away(_)))
}

fn is_unknown<T: std::fmt::Debug>(outcome: &Result<T, LinkError>) -> bool {
    matches!(outcome, Err(LinkError::Unknown(_)))
}

/// Waits for ever.
fn blocking() -> Cmd {
    cmd(&["XREAD", "BLOCK", "0", "STREAMS", "adjourn:none", "$"])
}

#[tokio::test]
async fn a_link_opens_while_redis_is_away_and_connects_when_it_comes() {
    let port = free_port();
    let link = link(&format!("redis://{LOGIN}@127.0.0.1:{port}"));
    let outcome = link.run(cmd(&["PING"])).await;
    assert!(is_away(&outcome), "{outcome:?}");
    let _server = Server::start_on(port, &[]);
    let pong = eventually("it answers", async || link.run(cmd(&["PING"])).await.ok()).await;
    assert_eq!(pong, Value::SimpleString("PONG".into()));
    assert_eq!(link.generation(), 0);
}

/// Counts those who come in, and throws everybody out once there are as many as that.
async fn slamming_door(crowd: usize) -> (String, Arc<AtomicUsize>) {
    let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", door.local_addr().unwrap());
    let knocks = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&knocks);
    tokio::spawn(async move {
        let mut inside = Vec::new();
        while let Ok((caller, _)) = door.accept().await {
            inside.push(caller);
            if counter.fetch_add(1, Ordering::Relaxed) + 1 >= crowd {
                inside.clear();
            }
        }
    });
    (url, knocks)
}

#[tokio::test]
async fn a_door_that_is_shut_is_not_stormed() {
    let (url, knocks) = slamming_door(1).await;
    let link = link(&url);
    let clock = Stopwatch::start();
    let mut asked = 0;
    while clock.elapsed() < Duration::from_millis(700) {
        assert!(is_away(&link.run(cmd(&["PING"])).await));
        asked += 1;
    }
    // At once, at once again, then 50, 100, 200 and 400 ms later.
    let knocks = knocks.load(Ordering::Relaxed);
    assert!((3..=6).contains(&knocks), "{knocks} knocks for {asked} commands");
}

#[tokio::test]
async fn many_that_are_thrown_out_together_wait_no_longer_than_one() {
    let (url, knocks) = slamming_door(20).await;
    let link = link_with(&url, LinkOptions { connect_timeout: PATIENCE, ..LinkOptions::default() });
    let outcomes = futures_util::future::join_all((0..20).map(|_| link.dedicated("k", None))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(LinkError::Away(_)))));
    assert!(link.dedicated("k", None).await.is_err());
    assert_eq!(knocks.load(Ordering::Relaxed), 21);
}

#[tokio::test]
async fn a_restart_is_another_primary_and_needs_nothing_from_the_caller() {
    let mut server = Server::start(&[]);
    let link = server.link();
    let before = link.primary_id("k").await.unwrap();
    assert_eq!(before, server.info("master_replid"));
    server.restart();
    eventually("it is back", async || link.run(cmd(&["PING"])).await.ok()).await;
    assert_eq!(link.generation(), 1);
    assert_ne!(link.primary_id("k").await.unwrap(), before);
}

#[tokio::test]
async fn what_was_sent_to_a_server_that_died_is_unknown_and_what_was_not_is_away() {
    let mut server = Server::start(&[]);
    let link = server.link();
    let waiting = tokio::spawn({
        let link = link.clone();
        async move { link.run(blocking()).await }
    });
    eventually("it waits", async || (server.info("blocked_clients") == "1").then_some(())).await;
    server.kill();
    let outcome = in_time("an outcome", waiting).await.unwrap();
    assert!(is_unknown(&outcome), "{outcome:?}");
    let outcome = link.run(cmd(&["HSET", "adjourn:n", "f", "v"])).await;
    assert!(is_away(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_command_that_takes_too_long_does_not_hold_up_the_next() {
    let server = Server::start(&[]);
    let link = link_with(&server.url(), quick());
    assert!(is_unknown(&link.run(blocking()).await));
    // On the same connection it would wait behind the other for ever.
    assert_eq!(link.run(cmd(&["PING", "next"])).await, Ok(string("next")));
    assert_eq!(link.generation(), 0);
}

#[tokio::test]
async fn an_error_of_one_command_does_not_hide_the_answers_of_the_others() {
    let server = Server::start(&[]);
    let link = server.link();
    let answers = link
        .pipeline(vec![cmd(&["HSET", "adjourn:s", "f", "1"]), cmd(&["XLEN", "adjourn:s"]), cmd(&["HGET", "adjourn:s", "f"])])
        .await
        .unwrap();
    assert_eq!((&answers[0], &answers[2]), (&Ok(Value::Int(1)), &Ok(string("1"))));
    assert_eq!(&*answers[1].as_ref().unwrap_err().code, "WRONGTYPE");
    let outcomes = link.pipelines(vec![vec![cmd(&["PING", "a"]), cmd(&["PING", "b"])], vec![], vec![cmd(&["PING", "c"])]]).await;
    let echoed = |words: &[&str]| Ok(words.iter().map(|word| Ok(string(word))).collect::<Answers>());
    assert_eq!(outcomes, [echoed(&["a", "b"]), echoed(&[]), echoed(&["c"])]);
}

#[tokio::test]
async fn a_script_the_server_has_forgotten_is_brought_again() {
    let server = Server::start(&[]);
    let link = server.link();
    let script = Script::new("redis.call('XADD', KEYS[1], '*', 'f', ARGV[1]) return {KEYS[1], ARGV[1], redis.call('XLEN', KEYS[1])}");
    let answer = |n| Ok::<_, LinkError>(Value::Array(vec![string("adjourn:k"), string("a"), Value::Int(n)]));
    assert_eq!(link.script(&script, &["adjourn:k"], &[b"a"]).await, answer(1));
    server.ask::<()>(&["SCRIPT", "FLUSH"]);
    assert_eq!(link.script(&script, &["adjourn:k"], &[b"a"]).await, answer(2));
    server.ask::<()>(&["SCRIPT", "FLUSH"]);
    let calls = vec![cmd(&["PING", "first"]), script.call(&["adjourn:k"], &[b"a"]), script.call(&["adjourn:k"], &[b"a"])];
    assert_eq!(
        link.pipeline(calls).await,
        Ok(vec![Ok(string("first")), answer(3).map_err(|_: LinkError| unreachable!()), Ok(answer(4).unwrap())])
    );
}

#[tokio::test]
async fn a_script_forgotten_by_itself_is_brought_again_to_the_pipelines_that_need_it() {
    let server = Server::start(&[]);
    let link = server.link();
    let (known, forgotten) = (Script::new("return 'known'"), Script::new("return 'forgotten'"));
    link.script(&known, &["adjourn:k"], &[]).await.unwrap();
    // Known to the link, never to the server: this connection was there before.
    link.teach([&forgotten]);
    let calls = [&known, &forgotten, &known].map(|script| vec![script.call(&["adjourn:k"], &[])]);
    let answer = |word| Ok(vec![Ok(string(word))]);
    assert_eq!(link.pipelines(calls.to_vec()).await, [answer("known"), answer("forgotten"), answer("known")]);
    let stranger = Script::new("return 'stranger'");
    let outcome = link.run(stranger.call(&["adjourn:k"], &[])).await;
    assert!(matches!(&outcome, Err(LinkError::Server(error)) if &*error.code == "NOSCRIPT"), "{outcome:?}");
}

#[tokio::test]
async fn a_script_of_ours_answers_with_its_own_code() {
    let server = Server::start(&[]);
    let script = Script::new("return redis.error_reply('FENCED by another')");
    let refused = ServerError { code: "FENCED".into(), detail: "by another".into() };
    assert_eq!(server.link().script(&script, &[], &[]).await, Err(LinkError::Server(refused)));
}

#[tokio::test]
async fn a_blocked_connection_of_ones_own_holds_up_nobody() {
    let server = Server::start(&[]);
    let link = link_with(&server.url(), quick());
    let mut own = link.dedicated("adjourn:log", None).await.unwrap();
    assert_eq!(own.primary_id(), link.primary_id("adjourn:log").await.unwrap());
    let reading = tokio::spawn(async move { own.run(cmd(&["XREAD", "BLOCK", "0", "STREAMS", "adjourn:log", "$"])).await });
    eventually("it waits", async || (server.info("blocked_clients") == "1").then_some(())).await;
    // Longer than a shared connection would be waited for.
    tokio::time::sleep(quick().response_timeout).await;
    link.run(cmd(&["XADD", "adjourn:log", "7-0", "f", "v"])).await.unwrap();
    let entry = Value::Array(vec![string("7-0"), Value::Array(vec![string("f"), string("v")])]);
    let expected = Value::Array(vec![Value::Array(vec![string("adjourn:log"), Value::Array(vec![entry])])]);
    assert_eq!(in_time("it reads", reading).await.unwrap(), Ok(expected));
}

#[tokio::test]
async fn a_connection_of_ones_own_brings_the_scripts_along_and_waits_no_longer_than_told() {
    let server = Server::start(&[]);
    let link = server.link();
    let script = Script::new("return 'known'");
    link.teach([&script]);
    let mut own = link.dedicated("k", Some(Duration::from_millis(200))).await.unwrap();
    let answers = own.pipeline(vec![script.call(&["adjourn:k"], &[]), cmd(&["WAIT", "0", "100"])]).await.unwrap();
    assert_eq!(answers, [Ok(string("known")), Ok(Value::Int(0))]);
    assert!(is_unknown(&own.run(blocking()).await));
}

#[tokio::test]
async fn what_a_demoted_primary_refuses_is_done_by_the_one_that_comes_in_time() {
    let server = Server::start(&[]);
    let link = server.link();
    link.run(cmd(&["PING"])).await.unwrap();
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let writing = tokio::spawn({
        let link = link.clone();
        async move { link.run(cmd(&["HSET", "adjourn:k", "f", "v"])).await }
    });
    eventually("it was refused", async || server.info("total_error_replies").ne("0").then_some(())).await;
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(in_time("it writes", writing).await.unwrap(), Ok(Value::Int(1)));
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let clock = Stopwatch::start();
    let outcome = link.run(cmd(&["HSET", "adjourn:k", "f", "v"])).await;
    assert!(matches!(&outcome, Err(LinkError::Server(error)) if &*error.code == "READONLY"), "{outcome:?}");
    assert!(clock.elapsed() < Duration::from_secs(3), "{:?}", clock.elapsed());
}

#[tokio::test]
async fn a_listener_hears_again_after_a_restart_and_is_told() {
    let mut server = Server::start(&[]);
    let link = server.link();
    let mut heard = link.subscribe("adjourn:news");
    assert_eq!(in_time("it listens", heard.next()).await, Some(Heard::Resubscribed));
    link.run(cmd(&["PUBLISH", "adjourn:news", "one"])).await.unwrap();
    assert_eq!(in_time("it hears", heard.next()).await, Some(Heard::Message(b"one".to_vec())));
    server.restart();
    assert_eq!(in_time("it listens again", heard.next()).await, Some(Heard::Resubscribed));
    server.ask::<()>(&["PUBLISH", "adjourn:news", "two"]);
    let mut next = in_time("it hears again", heard.next()).await;
    while next == Some(Heard::Resubscribed) {
        next = in_time("it hears again", heard.next()).await;
    }
    assert_eq!(next, Some(Heard::Message(b"two".to_vec())));
    drop(heard);
    eventually("nobody listens", async || (server.info("pubsub_channels") == "0").then_some(())).await;
}

#[tokio::test]
async fn a_listener_ends_with_its_link() {
    let server = Server::start(&[]);
    let link = server.link();
    let mut heard = link.subscribe("adjourn:news");
    assert_eq!(in_time("it listens", heard.next()).await, Some(Heard::Resubscribed));
    drop(link);
    assert_eq!(in_time("it ends", heard.next()).await, None);
}

#[tokio::test]
async fn the_login_and_the_database_are_those_of_the_url_and_a_wrong_one_is_away() {
    let server = Server::start(&[]);
    let with = |login: &str| link(&format!("redis://{login}@127.0.0.1:{}/3", server.port));
    let link = with(LOGIN);
    link.run(cmd(&["HSET", "adjourn:k", "f", "v"])).await.unwrap();
    let clients: String = server.ask(&["CLIENT", "LIST"]);
    assert!(clients.lines().any(|line| line.contains(" name=adjourn ") && line.contains(" user=adjourn ") && line.contains(" db=3 ")));
    assert!(server.info("db3").starts_with("keys=1"));
    let outcome = with("adjourn:wrong").run(cmd(&["PING"])).await;
    assert!(matches!(&outcome, Err(LinkError::Away(reason)) if reason.contains("authentication failed")), "{outcome:?}");
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let _server = Server::start(&["--unixsocket", socket.to_str().unwrap()]);
    let link = link(&format!("redis+unix://{}", socket.display()));
    assert_eq!(link.run(cmd(&["PING", "hello"])).await, Ok(string("hello")));
}

#[test]
fn a_link_may_be_dropped_anywhere_and_callers_may_live_on_any_runtime() {
    let server = Server::start(&[]);
    let link = server.link();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(link.run(cmd(&["PING", "a"]))), Ok(string("a")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async move { drop(link) });
}
