//! The faults there are to be, each with its rounds: all of them, and a tenth.
//!
//! A round is one injection, of S9 one race. What counts as a hit is said in the scenario's own line.

pub struct Scenario {
    /// As in the plan of the fault tests.
    pub number: &'static str,
    pub test: &'static str,
    pub fault: &'static str,
    /// When a round counts as a hit.
    pub hit: &'static str,
    /// Of a hundred rounds of a full run, so many have to be hits.
    pub enough: u64,
    pub full: u64,
    /// Of every build.
    pub few: u64,
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        number: "S1",
        test: "s1_kill_9_of_a_node_loses_nothing_and_closes_nothing_twice",
        fault: "kill -9 of a node",
        hit: "a commit of that node within 5 ms, or a request it had not answered",
        enough: 90,
        full: 180,
        few: 18,
    },
    Scenario {
        number: "S1",
        test: "s1_with_the_default_lease_a_dead_nodes_timers_close_within_five_seconds",
        fault: "kill -9 of a node, default lease",
        hit: "a commit of that node within 5 ms, or a request it had not answered",
        enough: 90,
        full: 20,
        few: 2,
    },
    Scenario {
        number: "S2",
        test: "s2_kill_9_of_redis_that_writes_before_it_answers_loses_nothing",
        fault: "kill -9 of Redis",
        hit: "a commit within 5 ms, or a request not answered",
        enough: 90,
        full: 200,
        few: 20,
    },
    Scenario {
        number: "S3",
        test: "s3_a_power_loss_of_redis_that_writes_before_it_answers_loses_nothing",
        fault: "power loss of Redis",
        hit: "a commit within 5 ms, or a request not answered",
        enough: 90,
        full: 100,
        few: 10,
    },
    Scenario {
        number: "S3",
        test: "s3_a_power_loss_of_a_node_on_the_embedded_store_loses_nothing",
        fault: "power loss of the embedded store",
        hit: "a write that was not on the disk, or a request not answered",
        enough: 90,
        full: 100,
        few: 10,
    },
    Scenario {
        number: "S4",
        test: "s4_a_failover_loses_nothing_that_a_node_remembers",
        fault: "failover, standard",
        hit: "a request not answered",
        enough: 90,
        full: 100,
        few: 6,
    },
    Scenario {
        number: "S4",
        test: "s4_a_failover_loses_nothing_at_all_where_replicas_must_have_it",
        fault: "failover, strict, both replicas",
        hit: "a request not answered",
        enough: 90,
        full: 100,
        few: 6,
    },
    Scenario {
        number: "S5",
        test: "s5_a_node_cut_off_from_redis_both_ways_or_one_way_writes_nothing_late",
        fault: "cut between a node and Redis",
        hit: "a commit of that node within 5 ms of the cut or during it, or a request it had not answered",
        enough: 90,
        full: 100,
        few: 10,
    },
    Scenario {
        number: "S6",
        test: "s6_a_commit_that_arrives_after_the_next_owners_is_refused",
        fault: "SIGSTOP of an owner, its commit held",
        hit: "the commit was held until another owner had committed",
        // Whoever took over may have had nothing to commit before the held one arrived.
        enough: 80,
        full: 100,
        few: 10,
    },
    Scenario {
        number: "S7",
        test: "s7_a_node_whose_date_jumps_closes_nothing_early",
        fault: "clock of a node jumps",
        hit: "a timer of that node fell due within 3 s",
        enough: 90,
        full: 30,
        few: 3,
    },
    Scenario {
        number: "S7",
        test: "s7_a_redis_whose_date_jumps_closes_nothing_early",
        fault: "clock of Redis jumps",
        hit: "a timer fell due within 3 s",
        enough: 90,
        full: 36,
        few: 4,
    },
    Scenario {
        number: "S8",
        test: "s8_slow_broken_and_lost_answers_of_redis_double_nothing",
        fault: "latency 50-500 ms, 1-byte slices, resets, lost answers",
        hit: "a commit of that node within 5 ms, or a request it had not answered",
        enough: 90,
        full: 80,
        few: 8,
    },
    Scenario {
        number: "S9",
        test: "s9_a_reply_that_races_its_deadline_wins_or_comes_after_it",
        fault: "replies within 50 ms of the deadline",
        hit: "accepted within 50 ms of the deadline",
        enough: 90,
        full: 20_000,
        few: 2_000,
    },
    Scenario {
        number: "S10",
        test: "s10_what_nobody_can_read_is_set_aside_and_nothing_else",
        fault: "entries that nobody can read, an owner killed over each third",
        hit: "a commit within 5 ms, or a request not answered",
        enough: 90,
        full: 30,
        few: 3,
    },
    Scenario {
        number: "S13",
        test: "s13_scripts_taken_away_memory_and_settings_changed_under_way_lose_nothing",
        fault: "SCRIPT FLUSH, full memory, full disk, appendfsync and eviction changed",
        hit: "a commit within 5 ms, or a request not answered",
        enough: 90,
        full: 40,
        few: 5,
    },
    Scenario {
        number: "S14",
        test: "s14_settings_change_without_end_while_a_tenants_timers_all_run_out_at_once",
        fault: "a storm of settings, all timers of a tenant at one instant",
        hit: "its timers ran out while settings changed",
        enough: 90,
        full: 10,
        few: 1,
    },
    Scenario {
        number: "S15",
        test: "s15_a_restored_backup_is_noticed_and_nothing_closes_until_an_operator_says_so",
        fault: "a backup of 12 s ago restored",
        hit: "timers were overdue while closes were held",
        enough: 90,
        full: 10,
        few: 1,
    },
    Scenario {
        number: "S12",
        test: "s12_planned_moves_and_rolling_restarts_lose_nothing",
        fault: "planned moves, rolling restarts, to another version where one is named",
        hit: "a commit came by meanwhile",
        enough: 90,
        full: 40,
        few: 4,
    },
];

/// Its place in the table, counted from 1, and what it is.
pub fn of(test: &str) -> (usize, &'static Scenario) {
    let found = SCENARIOS.iter().enumerate().find(|(_, scenario)| scenario.test == test);
    let (at, scenario) = found.unwrap_or_else(|| panic!("{test} is in no line of the table"));
    (at + 1, scenario)
}
