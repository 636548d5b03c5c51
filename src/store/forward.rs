//! A store around a store, for tests of what happens when calls fail: the signatures of [`Store`](super::Store) are written once,
//! here, and what a call goes through is the decorator's own.

/// In an `impl Store` block: hands each of these calls on. What answers from memory goes straight to `self.store()`; what goes to
/// the store goes through `self.pass(name, call)`, which may do anything before `call`, after it and instead of it.
#[macro_export]
macro_rules! forward_store {
    ($($call:ident)*) => { $($crate::forward_store_call! { $call })* };
}

#[doc(hidden)]
#[macro_export]
macro_rules! forward_store_call {
    (partitions) => { $crate::forward_store_call! { = partitions() -> $crate::domain::PartitionCount } };
    (incarnation) => { $crate::forward_store_call! { = incarnation() -> u64 } };
    (notification_heads) => { $crate::forward_store_call! { = notification_heads() -> Vec<u64> } };
    (notification_signal) => { $crate::forward_store_call! { = notification_signal() -> ::tokio::sync::watch::Receiver<u64> } };
    (is_exclusive) => { $crate::forward_store_call! { = is_exclusive() -> bool } };
    (closes_held) => { $crate::forward_store_call! { = closes_held() -> Option<$crate::store::Hold> } };
    (hints) => { $crate::forward_store_call! { = hints() -> ::tokio::sync::broadcast::Receiver<$crate::store::Hint> } };

    (clock) => { $crate::forward_store_call! { > clock() -> $crate::domain::Timestamp } };
    (append) => { $crate::forward_store_call! {
        > append(entries: Vec<($crate::domain::PartitionId, $crate::store::Entry)>) -> Vec<$crate::store::LogId>
    } };
    (read) => { $crate::forward_store_call! {
        > read(partition: $crate::domain::PartitionId, after: $crate::store::LogId, limit: usize, wait: ::std::time::Duration)
            -> Vec<$crate::store::LogEntry>
    } };
    (barrier) => { $crate::forward_store_call! { > barrier(partition: $crate::domain::PartitionId) -> $crate::store::Barrier } };
    (claim) => { $crate::forward_store_call! {
        > claim(partition: $crate::domain::PartitionId, by: $crate::store::Member, over: Option<$crate::store::Holder>)
            -> $crate::store::Claim
    } };
    (renew) => { $crate::forward_store_call! { > renew(lease: $crate::store::Lease) -> () } };
    (release) => { $crate::forward_store_call! { > release(lease: $crate::store::Lease, to: Option<Box<str>>) -> () } };
    (commit) => { $crate::forward_store_call! { > commit(lease: $crate::store::Lease, batch: $crate::store::Batch) -> () } };
    (load) => { $crate::forward_store_call! {
        > load(partition: $crate::domain::PartitionId, keys: Vec<$crate::domain::ConversationKey>) -> Vec<$crate::store::Loaded>
    } };
    (rollups) => { $crate::forward_store_call! {
        > rollups(
            partition: $crate::domain::PartitionId,
            workspace: Box<str>,
            days: Vec<$crate::domain::report::Day>,
            only: Option<$crate::domain::report::GroupBy>
        ) -> Vec<$crate::domain::report::Rollup>
    } };
    (texts) => { $crate::forward_store_call! {
        > texts(partition: $crate::domain::PartitionId, key: $crate::domain::ConversationKey, slots: Vec<u8>)
            -> Vec<$crate::domain::writing::Said>
    } };
    (rollups_before) => { $crate::forward_store_call! {
        > rollups_before(partition: $crate::domain::PartitionId, day: $crate::domain::report::Day, limit: usize)
            -> Vec<($crate::domain::report::Day, Box<str>)>
    } };
    (due) => { $crate::forward_store_call! {
        > due(
            partition: $crate::domain::PartitionId,
            until: $crate::domain::Timestamp,
            after: Option<$crate::store::DueKey>,
            limit: usize
        ) -> Vec<$crate::store::DueKey>
    } };
    (listed) => { $crate::forward_store_call! {
        > listed(partition: $crate::domain::PartitionId, query: $crate::domain::listing::SectionQuery)
            -> Option<Vec<$crate::domain::ConversationKey>>
    } };
    (scan) => { $crate::forward_store_call! {
        > scan(
            partition: $crate::domain::PartitionId,
            workspace: Option<Box<str>>,
            after: Option<$crate::domain::ConversationKey>,
            limit: usize
        ) -> Vec<($crate::domain::ConversationKey, $crate::domain::Conversation)>
    } };
    (walk) => { $crate::forward_store_call! {
        > walk(partition: $crate::domain::PartitionId, place: Option<$crate::store::Place>, limit: usize) -> $crate::store::Walked
    } };
    (applied) => { $crate::forward_store_call! {
        > applied(partition: $crate::domain::PartitionId, ids: Vec<$crate::store::LogId>) -> $crate::store::Applied
    } };
    (notifications) => { $crate::forward_store_call! {
        > notifications(partition: $crate::domain::PartitionId, after: u64, limit: usize) -> $crate::store::NotificationPage
    } };
    (applied_settings) => { $crate::forward_store_call! {
        > applied_settings(partition: $crate::domain::PartitionId, workspace: Box<str>) -> Option<$crate::domain::Settings>
    } };
    (settings) => { $crate::forward_store_call! { > settings(workspace: Box<str>) -> Option<$crate::domain::Settings> } };
    (all_settings) => { $crate::forward_store_call! { > all_settings() -> Vec<(Box<str>, $crate::domain::Settings)> } };
    (record_settings) => { $crate::forward_store_call! {
        > record_settings(workspace: Box<str>, expected: u64, settings: $crate::domain::Settings, history: Option<Vec<u8>>) -> bool
    } };
    (document) => { $crate::forward_store_call! {
        > document(shelf: $crate::store::Shelf, workspace: Box<str>) -> Option<$crate::store::Document>
    } };
    (put_document) => { $crate::forward_store_call! {
        > put_document(shelf: $crate::store::Shelf, workspace: Box<str>, expected: u64, document: $crate::store::Document) -> bool
    } };
    (dead_letters) => { $crate::forward_store_call! {
        > dead_letters(partition: $crate::domain::PartitionId, after: $crate::store::LogId, limit: usize)
            -> Vec<$crate::store::DeadLetter>
    } };
    (stats) => { $crate::forward_store_call! { > stats() -> Vec<$crate::store::PartitionStats> } };
    (count_due) => { $crate::forward_store_call! {
        > count_due(partition: $crate::domain::PartitionId, until: $crate::domain::Timestamp) -> u64
    } };
    (cluster) => { $crate::forward_store_call! { > cluster() -> $crate::store::ClusterView } };
    (heartbeat) => { $crate::forward_store_call! { > heartbeat(record: $crate::store::NodeRecord, over: Option<u64>) -> bool } };
    (leave) => { $crate::forward_store_call! { > leave(member: $crate::store::Member) -> () } };
    (drain) => { $crate::forward_store_call! { > drain(node: Box<str>) -> () } };
    (pin) => { $crate::forward_store_call! { > pin(partition: $crate::domain::PartitionId, to: Option<Box<str>>) -> () } };

    (hold_closes) => { $crate::forward_store_call! { > hold_closes(why: Box<str>) -> bool } };
    (release_hold) => { $crate::forward_store_call! { > release_hold() -> Option<$crate::store::Hold> } };

    // From memory.
    (= $name:ident() -> $answer:ty) => {
        fn $name(&self) -> $answer {
            self.store().$name()
        }
    };
    // To the store.
    (> $name:ident($($given:ident: $kind:ty),*) -> $answer:ty) => {
        fn $name(&self, $($given: $kind),*) -> ::futures_util::future::BoxFuture<'_, Result<$answer, $crate::store::StoreError>> {
            self.pass(stringify!($name), move || self.store().$name($($given),*))
        }
    };
}
