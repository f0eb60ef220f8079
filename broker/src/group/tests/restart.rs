//! What survives: members of a completed generation go on heartbeating, generations go on counting.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use serde_json::json;
use tokio::time::{pause, resume};

use super::bench::error;
use super::shell::House;

#[tokio::test]
async fn members_go_on_heartbeating_after_a_restart() {
    let (house, joined) = House::stable().await;
    let house = house.restart().await;
    assert_eq!(house.heartbeat(&joined).await, None);
    assert_eq!(house.sync(&joined, "ignored").await.assignment, "mine");
    assert_eq!(house.state().await, "Stable");
}

#[tokio::test]
async fn and_after_kill_nine() {
    let (house, joined) = House::stable().await;
    let house = house.crash();
    assert_eq!(house.heartbeat(&joined).await, None);
}

#[tokio::test]
async fn members_that_do_not_come_back_time_out() {
    let (house, joined) = House::stable().await;
    let house = house.restart().await;
    pause();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(house.state().await, "Stable");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(house.state().await, "Empty");
    resume();
    let house = house.restart().await;
    assert_eq!(
        house.heartbeat(&joined).await,
        Some(ResponseError::UnknownMemberId)
    );
    assert!(house.join_new().await.generation_id > joined.generation_id + 1);
}

#[tokio::test]
async fn a_follower_that_rejoins_after_a_restart_disturbs_nobody() {
    let (house, joined) = House::stable().await;
    let house = house.restart().await;
    // The only member is the leader, and a leader's join is a wish to rebalance.
    assert_eq!(
        house.join(&joined.member_id).await.generation_id,
        joined.generation_id + 1
    );
}

#[tokio::test]
async fn a_rebalance_that_was_under_way_is_begun_again() {
    let (house, joined) = House::stable().await;
    let again = house.join(&joined.member_id).await;
    assert_eq!(again.generation_id, joined.generation_id + 1);
    let house = house.crash();
    let answer = house.sync(&again, "never stored").await;
    assert_eq!(
        error(answer.error_code),
        Some(ResponseError::IllegalGeneration)
    );
    assert_eq!(house.join(&joined.member_id).await.error_code, 0);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_costs_only_itself() {
    let (house, joined) = House::stable().await;
    let mut entries: BTreeMap<_, _> = house.entries();
    entries.insert("group/odd".to_owned(), json!({"generation": "many"}));
    entries.insert("offset/odd".to_owned(), json!(1));
    entries.insert("topic/t".to_owned(), json!({}));
    let house = house.restart_with_entries(&entries).await;
    assert_eq!(house.heartbeat(&joined).await, None);
}
