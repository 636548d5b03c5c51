//! Lists of conversations whose keys, or whose word for it that they are whole, somebody deleted.

use adjourn::actors::reads::list::ListQuery;
use adjourn::domain::listing::Of;
use adjourn::domain::notice::Status;

use crate::bench::{P, section, whole};
use crate::outside::conversations_of;
use crate::patience::eventually;
use crate::ward::Ward;

/// Of four conversations three are open.
async fn three_of_four() -> (Ward, Vec<String>) {
    let ward = Ward::new().await;
    let names: Vec<String> = conversations_of(P).take(4).collect();
    for name in &names[..3] {
        ward.human(name, &format!("h-{name}")).await;
    }
    (ward, names)
}

async fn open_ones(ward: &Ward) -> usize {
    let query = ListQuery { status: Some(Status::Open), limit: 100, ..ListQuery::default() };
    ward.node.list("acme", &query).await.unwrap().items.len()
}

async fn are_whole(ward: &Ward) -> bool {
    ward.store.listed(P, whole("acme", &[section(Status::Open, Of::Anybody)])).await.unwrap().is_some()
}

#[actix::test]
async fn l1_lists_that_somebody_deletes_are_looked_up_in_rows_and_made_anew() {
    let (ward, names) = three_of_four().await;
    assert_eq!((open_ones(&ward).await, are_whole(&ward).await), (3, true));
    ward.run(&["DEL", "adjourn:{p1}:lists"]);
    assert_eq!((open_ones(&ward).await, are_whole(&ward).await), (3, false), "before anything is committed");
    ward.human(&names[3], "h-4").await;
    eventually("the lists", async || are_whole(&ward).await).await;
    assert_eq!(open_ones(&ward).await, 4);
}

/// With the lease goes the word that the lists were whole, and nobody knows what they were.
#[actix::test]
async fn l1_lists_of_a_partition_without_its_lease_or_its_rows_are_made_anew() {
    let (ward, names) = three_of_four().await;
    // As if they had been half made when the lease went.
    let entry = format!("acme/o\t{}", names[0]);
    ward.run(&["ZREM", "adjourn:{p1}:lists", &entry]);
    ward.run(&["DEL", "adjourn:{p1}:lease"]);
    ward.human(&names[3], "h-4").await;
    eventually("the lists", async || are_whole(&ward).await && open_ones(&ward).await == 4).await;

    ward.run(&["DEL", "adjourn:{p1}:states"]);
    ward.human(&names[0], "h-5").await;
    eventually("the lists", async || are_whole(&ward).await && open_ones(&ward).await == 1).await;
}
