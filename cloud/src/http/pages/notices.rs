//! What a person was told about exams they signed or looked at.

use super::{
    Action, Fault, Web, Who, begin,
    frame::{Frame, page},
};
use crate::{
    app::{local_time, record},
    http::show,
    store::notice,
};
use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};

#[derive(Template)]
#[template(path = "notices.html")]
struct NoticesPage {
    frame: Frame,
    unseen: usize,
    items: Vec<Item>,
}

struct Item {
    id: String,
    encounter_id: String,
    patient: String,
    chart_number: String,
    visit_date: String,
    when: String,
    text: String,
    is_seen: bool,
}

pub async fn show(State(web): State<Web>, who: Who) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let rows = notice::of_account(&mut tx, &who.tenant, &who.account).await?;
    drop(tx);
    let item = |it: notice::Notice| Item {
        when: show::date_and_time(it.noticed_at_us, &local_time::zone(&it.time_zone)),
        patient: format!("{}, {}", it.family_name, it.given_name),
        visit_date: show::date(&it.visit_date),
        id: it.notice_id,
        encounter_id: it.encounter_id,
        chart_number: it.chart_number,
        text: it.notice_text,
        is_seen: it.seen_at_us.is_some(),
    };
    let items: Vec<Item> = rows.into_iter().map(item).collect();
    page(NoticesPage {
        frame: Frame::new("Notices", Some(&who), "any=1"),
        unseen: items.iter().filter(|item| !item.is_seen).count(),
        items,
    })
}

pub async fn see(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    record::see_notice(&mut work, &id).await?;
    work.commit().await?;
    Ok(form.done("/notices"))
}
