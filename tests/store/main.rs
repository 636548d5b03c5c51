//! What every store promises (`adjourn::store::Store`), case by case, asked of each store there is. The model is what
//! the others must match.
//!
//! A store joins with a function that opens it, in `bench.rs` or `on_redis.rs`, and one line at the end of this file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // clippy.toml excuses test functions, not their helpers

mod bench;
mod chain;
mod claims;
mod closes;
mod dead;
mod doctored;
mod documents;
mod ear;
mod failover;
mod holds;
mod lists;
mod log;
mod marks;
mod model;
mod nodes;
mod on_redis;
mod outbox;
mod owners;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../judge/rng.rs"]
mod rng;
mod rollups;
mod rows;
mod settings;
mod walks;

use bench::Bench;
use futures_util::future::LocalBoxFuture;

/// Every case as a test of one store; those `by the machine` without the ones marked `clock`, which set the
/// store's clock and know what it shows.
macro_rules! suite {
    ($benches:ident::$store:ident) => {
        suite!(@list any, $benches, $store);
    };
    ($benches:ident::$store:ident, by the machine) => {
        suite!(@list machine, $benches, $store);
    };
    (@list $clock:ident, $benches:ident, $store:ident) => {
        suite!(@cases $clock, $benches, $store:
            log::ids_grow_within_a_millisecond clock,
            log::acceptance_never_goes_back clock,
            log::ids_come_in_the_order_of_the_entries,
            log::every_kind_of_entry_reads_back_as_it_was,
            log::a_page_begins_after_and_ends_at_its_limit,
            log::reading_waits_for_the_first_entry,
            log::reading_gives_up_after_its_wait,
            log::a_barrier_tells_the_clock_and_the_last_id clock,
            log::nothing_is_accepted_before_a_barrier clock,
            log::a_barrier_is_not_overrun_when_the_clock_steps_back clock,
            log::what_is_taken_again_keeps_when_it_was_accepted clock,
            log::nothing_was_accepted_later_than_it_was_taken clock,
            log::a_full_log_takes_nothing_until_it_was_applied,
            log::what_was_accepted_survives clock,
            owners::every_claim_has_a_token_of_its_own,
            owners::only_the_last_owner_may_write,
            owners::a_claim_tells_where_the_last_owner_stood,
            owners::a_released_partition_belongs_to_nobody,
            owners::a_late_release_harms_nobody,
            owners::attempts_count_claims_that_met_the_same_backlog,
            owners::the_entry_tried_alone_is_marked_until_cleared,
            claims::a_held_partition_is_not_claimed_as_free,
            claims::a_claim_needs_exactly_the_record_as_it_stands,
            claims::the_loser_of_a_claim_is_fenced,
            claims::what_was_given_back_is_claimed_as_free,
            claims::of_two_claims_over_one_record_one_is_granted,
            claims::commits_and_renewals_move_the_beat,
            claims::a_refused_commit_does_not_move_the_beat clock,
            claims::a_lost_lease_is_not_renewed,
            claims::giving_back_is_told_once_and_by_the_holder_alone,
            claims::giving_back_clears_what_was_suspected,
            nodes::nodes_are_known_as_they_say_in_order_of_name,
            nodes::a_taken_name_is_not_given_away,
            nodes::a_new_process_takes_the_place_of_the_one_it_names,
            nodes::a_node_drains_until_its_next_process_starts,
            nodes::a_node_that_leaves_is_gone,
            nodes::another_process_that_leaves_changes_nothing,
            nodes::a_pin_holds_until_it_is_taken_off,
            nodes::the_view_has_the_holder_of_every_partition_in_order,
            nodes::changes_of_the_cluster_are_told,
            chain::a_commit_builds_on_the_last_one,
            chain::a_commit_is_written_once,
            chain::the_fence_is_asked_before_the_chain,
            chain::the_checkpoint_never_goes_back,
            chain::a_refused_batch_changes_nothing clock,
            chain::partitions_have_chains_of_their_own,
            chain::what_was_committed_survives,
            closes::d1_no_close_before_the_clock_is_past_its_deadline clock,
            closes::d2_no_close_over_an_entry_accepted_in_time clock,
            closes::d2_no_close_over_an_entry_taken_again_that_came_in_time clock,
            closes::d2_an_entry_accepted_later_holds_nothing_up clock,
            closes::d2_nothing_is_accepted_in_time_after_a_close clock,
            holds::s15_held_closes_wait_until_they_are_released,
            holds::s15_a_hold_survives,
            rows::rows_load_in_the_order_asked,
            rows::a_removed_row_is_gone,
            rows::the_index_follows_its_row,
            rows::due_is_ordered_by_instant_and_key,
            rows::due_ends_with_its_instant_and_its_limit,
            rows::due_goes_on_after_a_key,
            rows::due_rows_are_counted,
            rows::a_storm_of_due_rows_is_counted_to_ten_thousand_at_least,
            rows::scan_is_ordered_by_key,
            rows::scan_keeps_workspaces_apart,
            rows::scan_goes_on_after_a_key,
            rows::partitions_keep_their_rows_apart,
            lists::a_list_has_who_stands_in_it_in_order,
            lists::sections_are_brought_up_together,
            lists::lists_go_with_their_commit,
            lists::lists_are_whole_only_after_a_commit_that_says_so,
            lists::thinned_lists_begin_anew,
            lists::a_commit_thins_lists_by_so_many_at_most,
            rollups::a_day_is_replaced_with_its_commit,
            rollups::old_days_are_found_and_go,
            rollups::texts_are_kept_by_slot_and_go,
            walks::a_walk_comes_by_every_row_and_ends,
            walks::a_walk_misses_no_row_that_stays_while_others_come_and_go,
            marks::applied_tells_how_far_a_partition_is,
            marks::repeats_are_told_from_what_changed_something,
            marks::why_an_entry_changed_nothing_is_told,
            marks::the_last_thousand_repeats_are_known,
            outbox::notifications_read_back_in_order,
            outbox::a_gap_in_the_numbers_is_refused,
            outbox::what_was_trimmed_is_told,
            outbox::heads_are_of_each_partition,
            outbox::a_commit_with_notifications_wakes_who_listens,
            outbox::numbers_go_on_after_reopening,
            outbox::numbers_skipped_before_anything_was_told_hide_nothing,
            settings::the_master_changes_only_from_the_version_named,
            settings::all_masters_come_in_order_of_workspace,
            settings::what_a_partition_applied_is_its_own,
            settings::a_later_version_takes_the_place_of_an_earlier,
            settings::settings_survive,
            settings::a_history_is_written_with_its_settings_or_not_at_all,
            settings::a_history_survives_and_is_no_settings,
            documents::a_document_changes_only_from_the_version_named,
            documents::of_two_who_saw_the_same_document_one_replaces_it,
            documents::shelves_do_not_meet,
            documents::documents_survive_and_are_no_settings,
            dead::letters_are_listed_oldest_first,
            dead::a_letter_goes_when_it_is_removed,
            dead::unreadable_bytes_are_kept_as_they_are,
            dead::stats_count_what_there_is,
        );
    };
    (@cases $clock:ident, $benches:ident, $store:ident: $($module:ident::$case:ident $($mark:ident)?),+ $(,)?) => {
        mod $store {
            $(suite!(@case $clock, $benches, $store, $module, $case $(, $mark)?);)+
        }
    };
    (@case machine, $benches:ident, $store:ident, $module:ident, $case:ident, clock) => {};
    (@case $clock:ident, $benches:ident, $store:ident, $module:ident, $case:ident $(, $mark:ident)?) => {
        #[test]
        fn $case() {
            crate::ask(|| Box::pin(crate::$benches::$store()), |bench| Box::pin(crate::$module::$case(bench)));
        }
    };
}

/// As `tokio::test` does, but for all of them together: a runtime compiled for each of a thousand takes a minute.
fn ask(store: fn() -> LocalBoxFuture<'static, Bench>, case: fn(Bench) -> LocalBoxFuture<'static, ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { case(store().await).await });
}

suite!(bench::memory);
suite!(bench::embedded);
suite!(on_redis::redis);
suite!(on_redis::redis_restarted);
suite!(on_redis::redis_with_least_rights);
suite!(on_redis::redis_cluster);
suite!(on_redis::redis_by_sentinel, by the machine);
suite!(on_redis::redis_over_tls, by the machine);
suite!(on_redis::redis_strict, by the machine);
suite!(on_redis::redis_found, by the machine);

/// Random calls, answered as the model answers them. A restarted Redis skips numbers, which the model does not.
mod as_the_model {
    macro_rules! compared {
        ($($benches:ident::$store:ident),+) => {
            $(
                #[tokio::test]
                async fn $store() {
                    crate::model::random_calls_are_answered_as_the_model_answers(crate::$benches::$store().await).await;
                }
            )+
        };
    }

    compared!(bench::memory, bench::embedded, on_redis::redis);
}
