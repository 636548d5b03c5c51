//! Why a conversation has or has not closed: what holds now, in a word and a sentence, and the story of its timer.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::conversations::unknown;
use super::query::Parameters;
use super::{Edge, Problem, key_of};
use crate::actors::Why;
use crate::domain::notice::Status;
use crate::domain::{ConversationKey, NoDeadline, Notice};
use crate::store::Notification;
use crate::wire::ConversationView;
use crate::wire::story::{Happened, story};
use crate::wire::time::Rfc3339;

/// Latest notifications that a story is made of, read one by one: some months of a busy conversation.
const STORY_MAX: usize = 500;

type Path = web::Path<(String, String)>;

/// # Errors
/// 404 for one that was never opened.
pub async fn why(edge: web::Data<Edge>, request: HttpRequest, path: Path) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let key = key_of(&path.0, &path.1)?;
    let why = edge.node.why(&key).await?.ok_or_else(|| unknown(&key))?;
    let told = edge.node.told_until(&key, why.last_notification, 0, STORY_MAX).await?;
    Ok(HttpResponse::Ok().json(WhyView::new(&key, &why, &told)))
}

/// The answer: the conversation, what its timer waits for, and how that came about.
#[derive(Serialize)]
struct WhyView<'a> {
    conversation: ConversationView<'a>,
    now: Rfc3339,
    closes_at: Option<Rfc3339>,
    reason: &'static str,
    explanation: String,
    armed_by: Option<ArmedBy<'a>>,
    period: Option<String>,
    set_aside: u32,
    /// What happened to the timer, oldest first, as far as notifications are kept.
    story: Vec<Happened<'a>>,
    /// False: it has older parts, which are not told or not kept any more.
    story_complete: bool,
}

#[derive(Serialize)]
struct ArmedBy<'a> {
    id: &'a str,
    time: Rfc3339,
}

impl<'a> WhyView<'a> {
    fn new(key: &'a ConversationKey, why: &'a Why, told: &'a [Notification]) -> Self {
        let (reason, explanation) = reason(why);
        let timer = why.timer.as_ref().ok();
        let notices = told.iter().filter_map(|told| match &told.notice {
            Notice::Conversation(notice) => Some(&**notice),
            Notice::Settings { .. } => None,
        });
        Self {
            conversation: ConversationView::new(key, &why.snapshot),
            now: Rfc3339(why.now),
            closes_at: timer.filter(|_| why.set_aside == 0).map(|timer| Rfc3339(timer.at)),
            reason,
            explanation,
            armed_by: timer.map(|timer| ArmedBy { id: &timer.armed_by, time: Rfc3339(timer.armed_at) }),
            period: timer.map(|timer| timer.period.to_string()),
            set_aside: why.set_aside,
            story: story(notices),
            // The first of all names none before it.
            story_complete: told.first().is_none_or(|first| first.previous.is_none()),
        }
    }
}

/// A word for programs and a sentence for people.
fn reason(why: &Why) -> (&'static str, String) {
    match &why.timer {
        Ok(_) if why.set_aside > 0 => {
            let (count, what) = (why.set_aside, if why.set_aside == 1 { "event is" } else { "events are" });
            ("events_set_aside", format!("{count} of its {what} in the dead letters and might be the reply: replay or dismiss first."))
        }
        Ok(timer) => {
            let sentence = format!("The message {} armed the timer for {}; no reply has come since.", timer.armed_by, timer.period);
            let extended = why.snapshot.hold.as_ref().filter(|hold| hold.until == Some(timer.at));
            match (timer.at <= why.now, why.snapshot.status) {
                (false, _) if let Some(hold) = extended => ("extended", format!("{sentence} Somebody extended it: {}.", hold.reason)),
                (true, _) => ("overdue", format!("{sentence} The deadline has passed: it closes as soon as that is certain.")),
                (false, Status::Snoozed) => ("snoozed", format!("{sentence} It is snoozed: the full period starts when that ends.")),
                (false, _) => ("timer_running", sentence),
            }
        }
        Err(none) => {
            let (reason, sentence) = no_deadline(*none);
            (reason, sentence.to_owned())
        }
    }
}

const fn no_deadline(none: NoDeadline) -> (&'static str, &'static str) {
    match none {
        NoDeadline::NotOpen => ("not_open", "It is closed."),
        NoDeadline::AutoCloseOff => ("auto_close_off", "Auto-close is switched off in this workspace."),
        NoDeadline::OpenedBeforeEnabled => {
            ("opened_before_enabled", "It was opened while auto-close was off, or before it was last switched on: the next opening counts.")
        }
        NoDeadline::ContactSpokeLast => ("contact_spoke_last", "The contact spoke last and waits for an answer."),
        NoDeadline::NoHumanMessage => ("no_human_message", "No person of the team has written in this episode, or nothing of it arrived."),
        NoDeadline::AssignedToAiAgent => ("assigned_to_ai_agent", "It is assigned to an AI agent, which cancels the timer."),
        NoDeadline::Exempt => ("exempt", "Somebody exempted it from auto-close; its `exemption` says who and why."),
        NoDeadline::Held => {
            ("held", "Somebody holds it, which suspends the timer; when that ends, the full period starts. Its `hold` says who and why.")
        }
        NoDeadline::Blocked => ("blocked", "The contact is blocked, which suspends the timer; when that ends, the full period starts."),
    }
}
