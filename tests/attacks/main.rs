//! What strangers can make the programs keep or do is bounded: the attacks of the security review,
//! each alone and all together, against real processes on one processor.
//!
//! - `ground`: the programs, what is measured of them, and what must hold at the end.
//! - `stranger`: connections from other addresses than the honest peer's.
//! - `on_server`, `on_registry`, `on_gateway`, `on_console`: the attacks.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they expect"
)]

mod ground;
mod on_console;
mod on_gateway;
mod on_registry;
mod on_server;
mod stranger;

use std::time::Duration;

use ground::{Alone, Ground};
use stranger::Stranger;

/// How long one attack runs alone.
const ALONE: Duration = Duration::from_secs(8);
/// How long all of them run together.
const TOGETHER: Duration = Duration::from_secs(20);
/// How long the programs are watched before.
const BEFORE: Duration = Duration::from_secs(3);

/// A test for each attack, and one for all of them.
macro_rules! attacks {
    ($($name:ident: $attack:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if !rpc_tests::slow::enabled("it attacks for seconds, with hundreds of megabytes") {
                    return;
                }
                let mut ground = Ground::prepare().await;
                ground.attack(stringify!($name), $attack(ground.targets(), Stranger::number(0)));
                ground.watch(ALONE).await;
                ground.stands().await;
            }
        )*

        #[tokio::test(flavor = "multi_thread")]
        async fn all_attacks_together_end_nothing_and_fill_nothing() {
            if !rpc_tests::slow::enabled("it attacks for 20 s, with gigabytes") {
                return;
            }
            let mut ground = Ground::prepare().await;
            ground.watch(BEFORE).await;
            let mut numbers = 0..;
            $(
                let stranger = Stranger::number(numbers.next().unwrap());
                ground.attack(stringify!($name), $attack(ground.targets(), stranger));
            )*
            ground.watch(TOGETHER).await;
            // Under all of them at once, on one processor, how long an answer takes is a figure, which was
            // printed: up to half a minute without optimisation.
            ground.calm().await;
            ground.stands().await;
        }
    };
}

/// The worst that there is for a registry's memory, step by step: whatever else happens at once decides
/// how much of it the attacks above reach.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_table_and_its_unread_lists_fit_together() {
    if !rpc_tests::slow::enabled("it fills a registry, with hundreds of megabytes") {
        return;
    }
    let ground = Alone::prepare().await;
    let at = ground.targets();
    on_registry::fill(at, Stranger::number(0)).await;
    let unread = on_registry::unread_lists(at, Stranger::number(1));
    let watchers = on_registry::watchers(at, Stranger::number(2));
    let attack = async {
        tokio::join!(unread, watchers);
    };
    ground.stands(attack, ALONE).await;
}

attacks! {
    // The server.
    ids_of_megabytes_are_not_kept: on_server::long_ids;
    queued_calls_are_bounded_in_bytes: on_server::queue;
    searched_texts_are_not_kept: on_server::needles;
    unfinished_requests_are_bounded_in_sum: on_server::unfinished;
    unread_replies_are_bounded_in_sum: on_server::unread;
    endless_calls_leave_others_their_share: on_server::endless;
    idle_connections_leave_others_their_share: on_server::idle;
    unread_http_is_bounded_in_sum: on_server::unread_http;
    long_calls_leave_others_their_turn: on_server::long_calls;
    batches_are_bounded_in_calls_and_bytes: on_server::batches;
    calls_over_http_are_bounded_in_sum: on_server::post_calls;
    calls_of_workers_are_bounded_in_sum: on_server::worker_calls;
    // The registry.
    unread_lists_are_bounded_in_sum: on_registry::unread_lists;
    instances_are_bounded_in_bytes: on_registry::many_instances;
    watchers_leave_others_their_share: on_registry::watchers;
    deep_parameters_blind_nobody: on_registry::deep;
    unfinished_requests_of_a_registry_are_bounded_in_sum: on_registry::unfinished;
    pages_leave_others_their_turn: on_registry::pages;
    // Tools for agents.
    messages_of_agents_are_bounded_in_sum: on_gateway::messages;
    // The console, by instances that a stranger registers.
    a_schema_that_refers_to_itself_freezes_nothing: on_console::references;
    floods_of_log_lines_are_cut: on_console::log_lines;
    lists_of_equal_methods_freeze_nothing: on_console::equal_names;
    huge_schemas_are_not_kept: on_console::huge_schema;
}
