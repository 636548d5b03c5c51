//! What is asked of the rows, the index, the outbox, the settings and the dead letters.

use redis::{Cmd, Value};

use super::commit::{sortable, unsortable};
use super::errors::{general, of_read, of_server};
use super::link::Answers;
use super::scripts::NUMBERS_SKIPPED;
use super::value::{bytes, entries, field, list, log_id, number, odd, pairs, text};
use super::{Inner, row};
use crate::domain::{Conversation, ConversationKey, PartitionId, Settings, Timestamp};
use crate::store::{
    Applied, DeadLetter, DueKey, Loaded, LogId, Notification, NotificationPage, PartitionStats, Place, StoreError, Walked, record,
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

    pub async fn load(&self, partition: PartitionId, keys: &[ConversationKey]) -> Result<Vec<Loaded>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = cmd("HMGET", &self.keys.of(partition).states);
        keys.iter().for_each(|key| {
            get.arg(key.as_str());
        });
        let rows = list(self.ask(partition, get).await?).filter(|rows| rows.len() == keys.len()).ok_or_else(|| odd("rows"))?;
        let loaded = |row: Value| match row {
            Value::Nil => Loaded::Missing,
            row => bytes(&row).map_or(Loaded::Corrupt { reason: "it is not text".into() }, row::read_row),
        };
        Ok(rows.into_iter().map(loaded).collect())
    }

    pub async fn due(
        &self,
        partition: PartitionId,
        until: Timestamp,
        after: Option<DueKey>,
        limit: usize,
    ) -> Result<Vec<DueKey>, StoreError> {
        self.known(partition)?;
        let key = &*self.keys.of(partition).deadlines;
        let until = until.as_millis().to_string();
        let answer = match after {
            None => {
                let mut range = cmd("ZRANGEBYSCORE", key);
                range.arg("-inf").arg(until).arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit);
                self.link.run(range).await
            }
            Some(DueKey { at, key: member }) => {
                let (at, limit) = (at.as_millis().to_string(), limit.to_string());
                let args = [until.as_bytes(), at.as_bytes(), member.as_str().as_bytes(), limit.as_bytes()];
                self.link.script(&self.scripts.due, &[key], &args).await
            }
        };
        let found = scored(answer.map_err(|error| of_read(partition, error))?).ok_or_else(|| odd("members with scores"))?;
        // What is no conversation was put there by somebody else.
        Ok(found.into_iter().filter_map(|(member, at)| Some(DueKey { at, key: ConversationKey::parse(text(&member)?).ok()? })).collect())
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
        let page = page.and_then(entries).ok_or_else(|| odd("notifications"))?;
        let first = first.and_then(entries).ok_or_else(|| odd("notifications"))?;
        let numbers = last.and_then(list).unwrap_or_default();
        let [last, from] = [0, 1].map(|at| numbers.get(at).and_then(number).unwrap_or(0));
        let items =
            page.iter().filter_map(|(id, fields)| row::read_notification(id.ms, field(fields, "r")?)).collect::<Vec<Notification>>();
        let oldest = first.first().map_or(last + 1, |(id, _)| id.ms);
        // Numbers that were skipped before anything was told hide nothing.
        let nothing_before = oldest == from && (from - 1).is_multiple_of(NUMBERS_SKIPPED);
        Ok(NotificationPage { items, oldest: if nothing_before { 1 } else { oldest } })
    }

    pub async fn applied(&self, partition: PartitionId, ids: &[LogId]) -> Result<Applied, StoreError> {
        let of = self.keys.of(partition);
        let mut get = cmd("HGET", &of.lease);
        get.arg("checkpoint");
        // The checkpoint first: whoever finds it there finds the repeats that were committed with it.
        let mut asked = vec![get];
        if !ids.is_empty() {
            let mut scores = cmd("ZMSCORE", &of.repeats);
            ids.iter().for_each(|id| {
                scores.arg(id.to_string());
            });
            asked.push(scores);
        }
        let mut answers = self.ask_all(partition, asked).await?.into_iter();
        let checkpoint = answers.next().as_ref().and_then(log_id).unwrap_or_default();
        let scores = answers.next().and_then(list).unwrap_or_default();
        Ok(Applied { checkpoint, repeats: scores.iter().map(|score| *score != Value::Nil).collect() })
    }

    pub async fn applied_settings(&self, partition: PartitionId, workspace: &str) -> Result<Option<Settings>, StoreError> {
        let mut get = cmd("HGET", &self.keys.of(partition).settings);
        get.arg(workspace);
        let document = self.ask(partition, get).await?;
        let unreadable = |error| StoreError::Unavailable(format!("applied settings of {workspace} cannot be read: {error}").into());
        bytes(&document).filter(|_| !workspace.is_empty()).map(record::decode_settings).transpose().map_err(unreadable)
    }

    pub async fn settings(&self, workspace: &str) -> Result<Option<Settings>, StoreError> {
        let mut get = cmd("HGET", &self.keys.settings);
        get.arg(workspace);
        let document = self.link.run(get).await.map_err(general)?;
        bytes(&document).map(|document| master(workspace, document)).transpose()
    }

    pub async fn all_settings(&self) -> Result<Vec<(Box<str>, Settings)>, StoreError> {
        let found = self.link.run(cmd("HGETALL", &self.keys.settings)).await.map_err(general)?;
        let mut all = Vec::new();
        for (workspace, document) in pairs(found).ok_or_else(|| odd("settings"))? {
            let (Some(workspace), Some(document)) = (text(&workspace), bytes(&document)) else { return Err(odd("settings")) };
            all.push((workspace.into(), master(workspace, document)?));
        }
        all.sort_by(|(one, _), (other, _): &(Box<str>, Settings)| one.cmp(other));
        Ok(all)
    }

    pub async fn put_settings(&self, workspace: &str, expected: u64, settings: &Settings) -> Result<bool, StoreError> {
        let mut document = format!("{}:", settings.version).into_bytes();
        document.extend(record::encode_settings(settings));
        let expected = expected.to_string();
        let args = [workspace.as_bytes(), expected.as_bytes(), &document];
        let answer = self.link.script(&self.scripts.put_settings, &[&self.keys.settings], &args).await;
        Ok(number(&answer.map_err(|error| super::errors::of_write(PartitionId(0), error))?) == Some(1))
    }

    pub async fn dead_letters(&self, partition: PartitionId, after: LogId, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let of = self.keys.of(partition);
        let mut names = cmd("ZRANGEBYLEX", &of.letters);
        // Behind everything of that id: `/` is followed by `0`. In front of all stands the element without a name.
        names.arg(format!("[{}0", sortable(after))).arg("+").arg("LIMIT").arg(0).arg(limit);
        let names = list(self.ask(partition, names).await?).ok_or_else(|| odd("names of letters"))?;
        let places: Vec<(LogId, &str)> =
            names.iter().filter_map(|name| text(name)?.split_once('/').and_then(|(id, at)| Some((unsortable(id)?, at)))).collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let get = |(_, at): &(LogId, &str)| {
            let mut range = cmd("XRANGE", &of.dead);
            range.arg(*at).arg(*at);
            range
        };
        let answers = self.ask_all(partition, places.iter().map(get).collect()).await?;
        let found = answers.into_iter().filter_map(|answer| entries(answer)?.pop());
        Ok(found.filter_map(|(_, fields)| record::decode_dead_letter(field(&fields, "r")?).ok()).collect())
    }

    pub async fn stats(&self) -> Result<Vec<PartitionStats>, StoreError> {
        let asked = self.partitions.all().map(|partition| self.stats_of(partition)).collect();
        let answers = self.link.pipelines(asked).await;
        let mut all = Vec::with_capacity(answers.len());
        for (partition, answers) in self.partitions.all().zip(answers) {
            let answers = answered(partition, answers.map_err(|error| of_read(partition, error))?)?;
            all.push(self.read_stats(answers).ok_or_else(|| odd("figures of a partition"))?);
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

fn readable((key, row): (ConversationKey, Loaded)) -> Option<(ConversationKey, Conversation)> {
    match row {
        Loaded::Found { conversation, .. } => Some((key, *conversation)),
        Loaded::Missing | Loaded::Corrupt { .. } => None,
    }
}

/// The version and a colon, for the script that compares it; then the document.
fn master(workspace: &str, document: &[u8]) -> Result<Settings, StoreError> {
    let form = document.iter().position(|byte| *byte == b':').map_or(document, |colon| &document[colon + 1..]);
    record::decode_settings(form)
        .map_err(|error| StoreError::Unavailable(format!("settings of {workspace} cannot be read: {error}").into()))
}

/// Members and scores, flat or in pairs.
fn scored(value: Value) -> Option<Vec<(Value, Timestamp)>> {
    let values = list(value)?;
    let flat: Vec<Value> = match values.first() {
        Some(Value::Array(_)) => values.into_iter().filter_map(list).flatten().collect(),
        _ => values,
    };
    let pairs = flat.chunks_exact(2);
    pairs.map(|pair| Some((pair[0].clone(), score(&pair[1])?))).collect()
}

fn score(value: &Value) -> Option<Timestamp> {
    let score = match value {
        Value::Double(score) => *score,
        value => text(value)?.parse().ok()?,
    };
    // A cast from a float takes the nearest there is.
    Some(Timestamp::from_millis(score as i64))
}
