//! What is asked of the rows, the index, the outbox, the settings and the dead letters.

use redis::{Cmd, ToRedisArgs, Value};

use super::commit::{mark, rollup_field, rollup_of, sortable, text_field, unsortable};
use super::errors::{general, of_read, of_server, unreadable};
use super::link::Answers;
use super::scripts::NUMBERS_A_MILLISECOND;
use super::value::{bytes, entries, field, list, log_id, number, odd, pairs, text};
use super::{Inner, row};
use crate::domain::report::{Day, GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, ConversationKey, PartitionId, Settings, Timestamp};
use crate::store::{
    Applied, DeadLetter, Document, DueKey, Loaded, LogId, Notification, NotificationPage, PartitionStats, Place, Shelf, StoreError,
    Unreadable, Walked, record,
};

/// The element of hashes and sorted sets that is there so that none of them is missing.
const PLACEHOLDERS: u64 = 1;

fn cmd(name: &str, key: &str) -> Cmd {
    let mut cmd = redis::cmd(name);
    cmd.arg(key);
    cmd
}

impl Inner {
    async fn ask(&self, partition: PartitionId, cmd: Cmd) -> Result<Value, StoreError> {
        self.known(partition)?;
        self.link.run(cmd).await.map_err(|error| of_read(partition, error))
    }

    async fn ask_all(&self, partition: PartitionId, cmds: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        self.known(partition)?;
        answered(partition, self.link.pipeline(cmds).await.map_err(|error| of_read(partition, error))?)
    }

    /// What stands under these names of a hash, in their order.
    async fn fields<N: ToRedisArgs>(
        &self,
        partition: PartitionId,
        key: &str,
        names: &[N],
        what: &'static str,
    ) -> Result<Vec<Value>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = cmd("HMGET", key);
        get.arg(names);
        list(self.ask(partition, get).await?).filter(|stored| stored.len() == names.len()).ok_or_else(|| odd(what))
    }

    pub async fn load(&self, partition: PartitionId, keys: &[ConversationKey]) -> Result<Vec<Loaded>, StoreError> {
        let names: Vec<&str> = keys.iter().map(ConversationKey::as_str).collect();
        let rows = self.fields(partition, &self.keys.of(partition).states, &names, "rows").await?;
        let loaded = |row: Value| match row {
            Value::Nil => Loaded::Missing,
            row => bytes(&row).map_or(Loaded::Corrupt { reason: "it is not text".into() }, row::read_row),
        };
        let rows: Vec<Loaded> = rows.into_iter().map(loaded).collect();
        for (key, row) in keys.iter().zip(&rows) {
            if let Loaded::Corrupt { reason } = row {
                unreadable("conversation", key, reason);
            }
        }
        Ok(rows)
    }

    pub async fn rollups(
        &self,
        partition: PartitionId,
        workspace: &str,
        days: &[Day],
        only: Option<GroupBy>,
    ) -> Result<Vec<Rollup>, StoreError> {
        let names: Vec<String> = days.iter().map(|day| rollup_field(*day, workspace)).collect();
        let stored = self.fields(partition, &self.keys.of(partition).rollups, &names, "sums").await?;
        let read = |(day, stored): (&Day, Value)| match bytes(&stored) {
            None => Ok(Rollup::default()),
            Some(form) => record::decode_rollup_of(form, only).map_err(|error| {
                unreadable("rollup", format_args!("day {} of {workspace} in partition {partition}", day.0), &error);
                StoreError::Unreadable(format!("what reports count of workspace {workspace} cannot be read: {error}").into())
            }),
        };
        days.iter().zip(stored).map(read).collect()
    }

    pub async fn texts(&self, partition: PartitionId, key: &ConversationKey, slots: &[u8]) -> Result<Vec<Said>, StoreError> {
        let names: Vec<String> = slots.iter().map(|slot| text_field(key, *slot)).collect();
        let stored = self.fields(partition, &self.keys.of(partition).texts, &names, "texts").await?;
        let read = |stored: Value| {
            let said = record::decode_said(bytes(&stored)?);
            said.inspect_err(|error| unreadable("text", key, error)).ok()
        };
        Ok(stored.into_iter().filter_map(read).collect())
    }

    /// Looks at all their names: to be asked seldom.
    pub async fn rollups_before(&self, partition: PartitionId, day: Day, limit: usize) -> Result<Vec<(Day, Box<str>)>, StoreError> {
        let names = list(self.ask(partition, cmd("HKEYS", &self.keys.of(partition).rollups)).await?).ok_or_else(|| odd("names of sums"))?;
        let named = names.iter().filter_map(|name| rollup_of(text(name)?));
        let mut old: Vec<(Day, Box<str>)> = named.filter(|(of, _)| *of < day).map(|(of, workspace)| (of, workspace.into())).collect();
        old.sort_unstable();
        old.truncate(limit);
        Ok(old)
    }

    pub async fn due(
        &self,
        partition: PartitionId,
        until: Timestamp,
        after: Option<DueKey>,
        limit: usize,
    ) -> Result<Vec<DueKey>, StoreError> {
        self.known(partition)?;
        let until = until.as_millis().to_string();
        let mut after = after.map(|due| (due.key.as_str().as_bytes().to_vec(), due.at.as_millis().to_string()));
        let mut found = Vec::new();
        loop {
            let wanted = limit - found.len();
            let page = self.due_page(partition, &until, after.as_ref(), wanted).await?;
            let is_all = page.len() < wanted;
            // What is no conversation was put there by somebody else: the next takes its place.
            found.extend(page.iter().filter_map(|(member, score)| {
                let key = ConversationKey::parse(std::str::from_utf8(member).ok()?).ok()?;
                Some(DueKey { at: instant(score)?, key })
            }));
            if is_all || found.len() == limit {
                return Ok(found);
            }
            after = page.into_iter().next_back();
        }
    }

    /// Members with their scores, as they are written.
    async fn due_page(
        &self,
        partition: PartitionId,
        until: &str,
        after: Option<&(Vec<u8>, String)>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, String)>, StoreError> {
        let key = &*self.keys.of(partition).deadlines;
        let answer = match after {
            None => {
                let mut range = cmd("ZRANGEBYSCORE", key);
                range.arg("-inf").arg(until).arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit);
                self.link.run(range).await
            }
            Some((member, at)) => {
                let limit = limit.to_string();
                self.link.script(&self.scripts.due, &[key], &[until.as_bytes(), at.as_bytes(), member, limit.as_bytes()]).await
            }
        };
        scored(answer.map_err(|error| of_read(partition, error))?).ok_or_else(|| odd("members with scores"))
    }

    pub async fn count_due(&self, partition: PartitionId, until: Timestamp) -> Result<u64, StoreError> {
        let mut count = cmd("ZCOUNT", &self.keys.of(partition).deadlines);
        count.arg("-inf").arg(until.as_millis());
        number(&self.ask(partition, count).await?).ok_or_else(|| odd("a count"))
    }

    /// Looks at the names of all rows, which have no order in Redis: some 2 ms of it for 16,000 of them.
    pub async fn scan(
        &self,
        partition: PartitionId,
        workspace: Option<Box<str>>,
        after: Option<ConversationKey>,
        limit: usize,
    ) -> Result<Vec<(ConversationKey, Conversation)>, StoreError> {
        let names = list(self.ask(partition, cmd("HKEYS", &self.keys.of(partition).states)).await?).ok_or_else(|| odd("names"))?;
        let wanted = |name: &Value| {
            let key = ConversationKey::parse(text(name)?).ok()?;
            let fits = workspace.as_deref().is_none_or(|workspace| key.workspace() == workspace);
            (fits && after.as_ref().is_none_or(|after| key > *after)).then_some(key)
        };
        let mut keys: Vec<ConversationKey> = names.iter().filter_map(wanted).collect();
        let mut found = Vec::new();
        // A row that cannot be read is left out, and the next takes its place.
        while found.len() < limit && !keys.is_empty() {
            let take = (limit - found.len()).min(keys.len());
            if take < keys.len() {
                keys.select_nth_unstable(take);
            }
            let mut page: Vec<ConversationKey> = keys.drain(..take).collect();
            page.sort_unstable();
            let rows = self.load(partition, &page).await?;
            found.extend(page.into_iter().zip(rows).filter_map(readable));
        }
        Ok(found)
    }

    pub async fn walk(&self, partition: PartitionId, place: Option<Place>, limit: usize) -> Result<Walked, StoreError> {
        let mut scan = cmd("HSCAN", &self.keys.of(partition).states);
        scan.arg(place.as_ref().map_or("0", |place| &place.0)).arg("COUNT").arg(limit.clamp(1, 1_000));
        let mut parts = list(self.ask(partition, scan).await?).unwrap_or_default().into_iter();
        let (Some(cursor), Some(found)) = (parts.next(), parts.next()) else { return Err(odd("a page of a hash")) };
        let next = text(&cursor).filter(|cursor| *cursor != "0").map(|cursor| Place(cursor.into()));
        let rows = pairs(found).ok_or_else(|| odd("a page of a hash"))?;
        let row = |(name, row): (Value, Value)| readable((ConversationKey::parse(text(&name)?).ok()?, row::read_row(bytes(&row)?)));
        Ok(Walked { rows: rows.into_iter().filter_map(row).collect(), next })
    }

    pub async fn notifications(&self, partition: PartitionId, after: u64, limit: usize) -> Result<NotificationPage, StoreError> {
        let of = self.keys.of(partition);
        let range = |from: String, limit: usize| {
            let mut range = cmd("XRANGE", &of.notifications);
            range.arg(from).arg("+").arg("COUNT").arg(limit);
            range
        };
        let mut last = cmd("HMGET", &of.lease);
        last.arg(&["last", "from"]);
        let asked = vec![range(format!("({after}-0"), limit), range("-".to_owned(), 1), last];
        let mut answers = self.ask_all(partition, asked).await?.into_iter();
        let (page, first, last) = (answers.next(), answers.next(), answers.next());
        let mut page = page.and_then(entries).ok_or_else(|| odd("notifications"))?;
        let first = first.and_then(entries).ok_or_else(|| odd("notifications"))?;
        let numbers = last.and_then(list).unwrap_or_default();
        let [last, from] = [0, 1].map(|at| numbers.get(at).and_then(number).unwrap_or(0));
        let mut items: Vec<Notification> = Vec::with_capacity(page.len());
        loop {
            let before = items.len();
            items.extend(page.iter().filter_map(|(id, fields)| row::read_notification(id.ms, field(fields, "r")?)));
            let passed_over = page.len() - (items.len() - before);
            let Some((end, _)) = page.last().filter(|_| passed_over > 0) else { break };
            // The next take their place, so that a page that looks empty is the last.
            unreadable("notification", format_args!("partition {partition}, up to {end}"), format_args!("{passed_over} of {}", page.len()));
            page = entries(self.ask(partition, range(format!("({end}"), passed_over)).await?).ok_or_else(|| odd("notifications"))?;
        }
        let oldest = first.first().map_or(last + 1, |(id, _)| id.ms);
        // Numbers that were skipped before anything was told hide nothing.
        let nothing_before = oldest == from && from.saturating_sub(1).is_multiple_of(NUMBERS_A_MILLISECOND);
        Ok(NotificationPage { items, oldest: if nothing_before { 1 } else { oldest } })
    }

    pub async fn applied(&self, partition: PartitionId, ids: &[LogId]) -> Result<Applied, StoreError> {
        let of = self.keys.of(partition);
        let mut get = cmd("HGET", &of.lease);
        get.arg("checkpoint");
        // The checkpoint first: whoever finds it there finds what was committed with it.
        let mut asked = vec![get];
        if !ids.is_empty() {
            let mut scores = cmd("ZMSCORE", &of.marks);
            ids.iter().for_each(|id| {
                scores.arg(id.to_string());
            });
            asked.push(scores);
        }
        let mut answers = self.ask_all(partition, asked).await?.into_iter();
        let checkpoint = answers.next().as_ref().and_then(log_id).unwrap_or_default();
        let scores = answers.next().and_then(list).unwrap_or_default();
        Ok(Applied { checkpoint, marks: scores.iter().map(|score| text(score).and_then(mark)).collect() })
    }

    pub async fn applied_settings(&self, partition: PartitionId, workspace: &str) -> Result<Option<Settings>, StoreError> {
        let mut get = cmd("HGET", &self.keys.of(partition).settings);
        get.arg(workspace);
        let document = self.ask(partition, get).await?;
        let unreadable = |error| {
            unreadable("settings applied", format_args!("{workspace} in partition {partition}"), &error);
            StoreError::Unavailable(format!("applied settings of {workspace} cannot be read: {error}").into())
        };
        bytes(&document).filter(|_| !workspace.is_empty()).map(record::decode_settings).transpose().map_err(unreadable)
    }

    pub async fn settings(&self, workspace: &str) -> Result<Option<Settings>, StoreError> {
        self.serves()?;
        let mut get = cmd("HGET", &self.keys.settings);
        get.arg(workspace);
        let document = self.link.run(get).await.map_err(general)?;
        let unreadable = |error| {
            unreadable("settings", workspace, &error);
            let key = &self.keys.settings;
            let reason =
                format!("settings of {workspace} cannot be read: {error}; `HDEL {key} {workspace}` puts the defaults in their place");
            StoreError::Unavailable(reason.into())
        };
        bytes(&document).map(|document| record::decode_settings(master(document)).map_err(unreadable)).transpose()
    }

    pub async fn all_settings(&self) -> Result<Vec<(Box<str>, Settings)>, StoreError> {
        self.serves()?;
        // Without the histories beside them, which are large, and asked for by nobody who follows settings.
        let names = list(self.link.run(cmd("HKEYS", &self.keys.settings)).await.map_err(general)?).ok_or_else(|| odd("settings"))?;
        let names: Vec<&str> = names.iter().filter_map(text).filter(|name| !name.contains('/')).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = cmd("HMGET", &self.keys.settings);
        get.arg(&names);
        let found = list(self.link.run(get).await.map_err(general)?).ok_or_else(|| odd("settings"))?;
        let mut all = Vec::new();
        for (workspace, document) in names.into_iter().zip(&found) {
            let Some(document) = bytes(document) else { continue };
            // The others' settings are good; of this one the partitions go on with what they applied.
            match record::decode_settings(master(document)) {
                Ok(settings) => all.push((workspace.into(), settings)),
                Err(error) => unreadable("settings", workspace, error),
            }
        }
        all.sort_by(|(one, _), (other, _): &(Box<str>, Settings)| one.cmp(other));
        Ok(all)
    }

    pub async fn record_settings(
        &self,
        workspace: &str,
        expected: u64,
        settings: &Settings,
        history: Option<&[u8]>,
    ) -> Result<bool, StoreError> {
        let document = Field { name: workspace, version: settings.version, bytes: &record::encode_settings(settings) };
        let name = self.keys.shelved(Shelf::SettingsHistory, workspace).1;
        let beside = history.map(|bytes| Field { name: &name, version: settings.version, bytes });
        self.replace(&self.keys.settings, expected, &document, beside).await
    }

    pub async fn document(&self, shelf: Shelf, workspace: &str) -> Result<Option<Document>, StoreError> {
        self.serves()?;
        let (key, field) = self.keys.shelved(shelf, workspace);
        let mut get = cmd("HGET", key);
        get.arg(&*field);
        let stored = self.link.run(get).await.map_err(general)?;
        let Some(stored) = bytes(&stored) else { return Ok(None) };
        let document = || {
            let colon = stored.iter().position(|byte| *byte == b':')?;
            let version = std::str::from_utf8(&stored[..colon]).ok()?.parse().ok()?;
            Some(Document { version, bytes: stored[colon + 1..].to_vec() })
        };
        document().map(Some).ok_or_else(|| odd("a document"))
    }

    pub async fn put_document(&self, shelf: Shelf, workspace: &str, expected: u64, document: &Document) -> Result<bool, StoreError> {
        let (key, field) = self.keys.shelved(shelf, workspace);
        self.replace(key, expected, &Field { name: &field, version: document.version, bytes: &document.bytes }, None).await
    }

    /// What stands under a field if that is of the version expected, and then another field beside it.
    async fn replace(&self, key: &str, expected: u64, field: &Field<'_>, beside: Option<Field<'_>>) -> Result<bool, StoreError> {
        self.serves()?;
        let (document, expected) = (field.stored(), expected.to_string());
        let (name, more) = beside.map_or(Default::default(), |beside| (beside.name, beside.stored()));
        let args = [field.name.as_bytes(), expected.as_bytes(), &document, name.as_bytes(), &more];
        let answer = self.link.script(&self.scripts.put_document, &[key], &args).await;
        let answer = answer.map_err(|error| self.memory.told(super::errors::of_write(PartitionId(0), error)))?;
        Ok(number(&answer) == Some(1))
    }

    pub async fn dead_letters(&self, partition: PartitionId, after: LogId, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let of = self.keys.of(partition);
        let mut places: Vec<(LogId, LogId)> = Vec::new();
        // Behind everything of that id: `/` is followed by `0`. In front of all stands the element without a name.
        let mut from = format!("[{}0", sortable(after)).into_bytes();
        loop {
            let wanted = limit - places.len();
            let mut names = cmd("ZRANGEBYLEX", &of.letters);
            names.arg(&from).arg("+").arg("LIMIT").arg(0).arg(wanted);
            let names = list(self.ask(partition, names).await?).ok_or_else(|| odd("names of letters"))?;
            // What is no name of a letter was put there by somebody else: the next takes its place.
            places.extend(names.iter().filter_map(|name| {
                let (id, at) = text(name)?.split_once('/')?;
                Some((unsortable(id)?, LogId::parse(at)?))
            }));
            match names.last().and_then(bytes) {
                Some(last) if names.len() == wanted && places.len() < limit => from = [b"(", last].concat(),
                _ => break,
            }
        }
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let get = |(_, at): &(LogId, LogId)| {
            let mut range = cmd("XRANGE", &of.dead);
            range.arg(at.to_string()).arg(at.to_string());
            range
        };
        let answers = self.ask_all(partition, places.iter().map(get).collect()).await?;
        Ok(places.into_iter().zip(answers).map(|((id, _), answer)| letter(partition, id, answer)).collect())
    }

    pub async fn stats(&self) -> Result<Vec<PartitionStats>, StoreError> {
        self.serves()?;
        let asked = self.partitions.all().map(|partition| self.stats_of(partition)).collect();
        let answers = self.link.pipelines(asked).await;
        let mut all = Vec::with_capacity(answers.len());
        for (partition, answers) in self.partitions.all().zip(answers) {
            let answers = answers.map_err(|error| of_read(partition, error))?;
            // One that is broken is shown empty, and said to be broken; the others have theirs.
            all.push(answered(partition, answers).ok().and_then(|answers| self.read_stats(answers)).unwrap_or_default());
        }
        Ok(all)
    }

    fn stats_of(&self, partition: PartitionId) -> Vec<Cmd> {
        let of = self.keys.of(partition);
        let mut lease = cmd("HMGET", &of.lease);
        lease.arg(&["checkpoint", "last"]);
        let mut first = cmd("XRANGE", &of.notifications);
        first.arg("-").arg("+").arg("COUNT").arg(1);
        let mut last = cmd("XREVRANGE", &of.events);
        last.arg("+").arg("-").arg("COUNT").arg(1);
        vec![cmd("HLEN", &of.states), cmd("ZCARD", &of.deadlines), cmd("XLEN", &of.events), cmd("ZCARD", &of.letters), lease, first, last]
    }

    fn read_stats(&self, answers: Vec<Value>) -> Option<PartitionStats> {
        let [states, deadlines, events, letters, lease, first, last] = <[Value; 7]>::try_from(answers).ok()?;
        let counted = |value: &Value| number(value).map(|count| count.saturating_sub(PLACEHOLDERS));
        let lease = list(lease)?;
        let checkpoint = lease.first().and_then(log_id).unwrap_or_default();
        let last_notification = lease.get(1).and_then(number).unwrap_or(0);
        let last = entries(last)?.first().map_or(checkpoint, |(id, _)| *id);
        let backlog = if self.options.keep_log { u64::from(last > checkpoint) } else { number(&events)? };
        Some(PartitionStats {
            conversations: counted(&states)?,
            timers: counted(&deadlines)?,
            checkpoint,
            last,
            backlog,
            dead_letters: counted(&letters)?,
            last_notification,
            oldest_notification: entries(first)?.first().map_or(last_notification + 1, |(id, _)| id.ms),
        })
    }
}

fn answered(partition: PartitionId, answers: Answers) -> Result<Vec<Value>, StoreError> {
    answers.into_iter().map(|answer| answer.map_err(|error| of_server(partition, &error))).collect()
}

/// One that is lost or cannot be read is listed all the same: an operator is to see it, and to dismiss it.
fn letter(partition: PartitionId, id: LogId, stored: Value) -> DeadLetter {
    let fields = entries(stored).and_then(|mut found| found.pop()).map(|(_, fields)| fields).unwrap_or_default();
    let form = field(&fields, "r").unwrap_or_default();
    record::decode_dead_letter(form).unwrap_or_else(|error| {
        unreadable("dead letter", format_args!("{id} of partition {partition}"), &error);
        let reason: Box<str> = format!("the letter itself cannot be read: {error}").into();
        let entry = Err(Unreadable { reason: reason.clone(), bytes: form.to_vec(), conversation: None });
        DeadLetter { partition, id, conversation: None, reason, entry }
    })
}

fn readable((key, row): (ConversationKey, Loaded)) -> Option<(ConversationKey, Conversation)> {
    match row {
        Loaded::Found { conversation, .. } => Some((key, *conversation)),
        Loaded::Missing | Loaded::Corrupt { .. } => None,
    }
}

/// A document on its way to where it stands.
struct Field<'a> {
    name: &'a str,
    version: u64,
    bytes: &'a [u8],
}

impl Field<'_> {
    /// A version, a colon, and the document.
    fn stored(&self) -> Vec<u8> {
        [format!("{}:", self.version).as_bytes(), self.bytes].concat()
    }
}

/// The version and a colon, for the script that compares it; then the document.
fn master(document: &[u8]) -> &[u8] {
    document.iter().position(|byte| *byte == b':').map_or(document, |colon| &document[colon + 1..])
}

/// Members and scores, flat or in pairs.
fn scored(value: Value) -> Option<Vec<(Vec<u8>, String)>> {
    let values = list(value)?;
    let flat: Vec<Value> = match values.first() {
        Some(Value::Array(_)) => values.into_iter().filter_map(list).flatten().collect(),
        _ => values,
    };
    let score = |value: &Value| match value {
        Value::Double(score) => Some(score.to_string()),
        value => text(value).map(str::to_owned),
    };
    flat.chunks_exact(2).map(|pair| Some((bytes(&pair[0])?.to_vec(), score(&pair[1])?))).collect()
}

fn instant(score: &str) -> Option<Timestamp> {
    // A cast from a float takes the nearest there is.
    score.parse::<f64>().ok().map(|score| Timestamp::from_millis(score as i64))
}
