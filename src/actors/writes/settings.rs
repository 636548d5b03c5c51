//! A workspace's settings: what holds, and changes of them, which are done when every partition has applied them (T22).

use std::time::Duration;

use futures_util::future::try_join_all;

use super::ingest::Receipt;
use crate::actors::node::handle::{Node, SettingsRefused, Unready};
use crate::clock::Stopwatch;
use crate::domain::settings::SettingsChange;
use crate::domain::{PartitionId, Settings};
use crate::store::{Entry, StoreError};

impl Node {
    /// The workspace's settings; the defaults where it has none.
    pub async fn settings(&self, workspace: &str) -> Result<Settings, StoreError> {
        let master = self.store().settings(workspace.into()).await?;
        Ok(master.unwrap_or_else(|| self.options().defaults.clone()))
    }

    pub(in crate::actors) async fn settings_applied(&self, partition: PartitionId, workspace: &str) -> Result<Settings, StoreError> {
        let applied = self.store().applied_settings(partition, workspace.into()).await?;
        Ok(applied.unwrap_or_else(|| self.options().defaults.clone()))
    }

    /// Changes the workspace's settings; answers when every partition has applied them (T22).
    ///
    /// # Errors
    /// `Invalid`: nothing changed. `VersionMismatch`: somebody else changed them, nothing changed. `Unready`: they are
    /// the master document now, and some partition has yet to apply them.
    pub async fn change_settings(
        &self,
        workspace: &str,
        change: SettingsChange,
        expected: Option<u64>,
        timeout: Duration,
    ) -> Result<Settings, SettingsRefused> {
        let begun = Stopwatch::start();
        while begun.elapsed() < timeout {
            let (master, before) = self.settings_to_change(workspace, expected).await?;
            let settings = before.changed(change.clone(), &self.options().bounds)?;
            let history = self.recorded(workspace, &master, (&before, &settings), change.by.clone()).await.map_err(Unready::from)?;
            let put = self.store().record_settings(workspace.into(), master.version, settings.clone(), Some(history));
            if put.await.map_err(Unready::from)? {
                self.apply_settings(workspace, &settings, timeout).await?;
                if self.took_effect(workspace, &settings).await? {
                    if !settings.keeps_texts() {
                        self.unlearn(workspace).await.map_err(Unready::from)?;
                    }
                    return Ok(settings);
                }
                // Another of that version, forgotten by the master, was on its way to the partitions: the next one is ours.
            }
        }
        Err(Unready::NotYetChanged.into())
    }

    /// What the store has, and the newest that anybody has, which a change is made of.
    ///
    /// # Errors
    /// `VersionMismatch`: that is not the version expected.
    pub(super) async fn settings_to_change(&self, workspace: &str, expected: Option<u64>) -> Result<(Settings, Settings), SettingsRefused> {
        let master = self.settings(workspace).await.map_err(Unready::from)?;
        let newest = self.newest_settings(workspace, &master).await?;
        let current = newest.version;
        if expected.is_some_and(|expected| expected != current) {
            return Err(SettingsRefused::VersionMismatch { current });
        }
        Ok((master, newest))
    }

    /// Whether these settings, applied by every partition, were in force there: they still are, or others followed that were
    /// made of them, by a PUT that came meanwhile.
    async fn took_effect(&self, workspace: &str, settings: &Settings) -> Result<bool, Unready> {
        let master = self.settings(workspace).await?;
        Ok(master.version > settings.version || self.newest_settings(workspace, settings).await? == *settings)
    }

    /// The latest version that anybody has. A store that lost its last second may have forgotten the master document that its
    /// partitions have applied since: counted from that, the next version would be no news to them.
    async fn newest_settings(&self, workspace: &str, master: &Settings) -> Result<Settings, Unready> {
        let applied = self.store().partitions().all().map(|partition| self.settings_applied(partition, workspace));
        let applied = try_join_all(applied).await?;
        Ok(applied.into_iter().fold(master.clone(), |newest, applied| if applied.outranks(&newest) { applied } else { newest }))
    }

    async fn apply_settings(&self, workspace: &str, settings: &Settings, timeout: Duration) -> Result<(), Unready> {
        let marker = || Entry::Settings { workspace: workspace.into(), settings: Box::new(settings.clone()) };
        let partitions: Vec<PartitionId> = self.store().partitions().all().collect();
        let ids = self.store().append(partitions.iter().map(|p| (*p, marker())).collect()).await?;
        let mut receipts: Vec<Receipt> =
            partitions.into_iter().zip(ids).map(|(partition, id)| Receipt { partition, id, mark: None }).collect();
        self.wait_applied(&mut receipts, timeout).await
    }
}
