//! Every route with the roles that may use it.

use super::{Web, api, assets, auth, guard::Access, oidc, pages, provider, sse};
use crate::app::{audit_list, principal::Role};
use axum::{
    extract::DefaultBodyLimit,
    handler::Handler,
    http::Method,
    routing::{self, MethodRouter},
};

/// One method of one path.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub(super) handler: MethodRouter<Web>,
}

const PUBLIC: Access = Access::Public;
/// Anybody who is signed in.
const ALL: Access = Access::Roles(Role::ALL);
/// Those who see patients.
const CLINICAL: Access = Access::Roles(&[Role::Technician, Role::Doctor]);
/// Those who work with signed prescriptions and the glasses made from them.
const OPTICAL: Access = Access::Roles(&[Role::Technician, Role::Doctor, Role::Optician]);
/// Those who bring the schedule in.
const SCHEDULE: Access = Access::Roles(&[Role::Technician, Role::Doctor, Role::ClinicIt]);
/// Those who ask who saw what.
const AUDIT: Access = Access::Roles(audit_list::ROLES);
/// Those who look after the practice itself: its people, and what its instruments really sent.
const CLINIC_IT: Access = Access::Roles(&[Role::ClinicIt]);
/// Those who run gateways.
const FLEET: Access = Access::Roles(&[Role::ClinicIt, Role::CloudStaff]);
/// Those who ask how the work goes: numbers without patients.
const REPORTS: Access = Access::Roles(&[Role::Doctor, Role::ClinicIt]);

fn get<H: Handler<T, Web>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    Route { method: Method::GET, path, access, handler: routing::get(handler) }
}
fn post<H: Handler<T, Web>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    Route { method: Method::POST, path, access, handler: routing::post(handler) }
}

/// The whole table.
pub fn routes() -> Vec<Route> {
    let mut routes = page_routes();
    routes.extend(api_routes());
    routes.extend(dicomweb_routes());
    routes
}

fn page_routes() -> Vec<Route> {
    use pages::{
        account, audit, charges, charts, configuration, exam, failures, fleet, history, inbox,
        inbox_images, incidents, instance, instruments, lane, lanes, notices, opening, optical,
        patients, people, preferences, raw, reports, slip,
    };
    vec![
        get("/static/{name}", PUBLIC, assets::asset),
        get("/sign-in", PUBLIC, auth::show_sign_in),
        post("/sign-in", PUBLIC, auth::sign_in_by_form),
        get("/sign-in/provider", PUBLIC, provider::begin),
        get(oidc::CALLBACK, PUBLIC, provider::callback),
        post("/sign-out", ALL, auth::sign_out_by_form),
        get("/", ALL, pages::home),
        get("/live", ALL, sse::live),
        get("/lanes", CLINICAL, lanes::show),
        get("/lanes/{lane}", CLINICAL, lane::show),
        post("/lanes/{lane}/session", CLINICAL, lane::open),
        post("/lanes/{lane}/session/end", CLINICAL, lane::close),
        post("/lanes/{lane}/tray/{reading}/assign", CLINICAL, lane::assign),
        post("/lanes/{lane}/tray/{reading}/inbox", CLINICAL, lane::to_inbox),
        get("/exams/{encounter}", CLINICAL, exam::show),
        post("/exams/{encounter}/accept", CLINICAL, exam::actions::accept_all),
        post("/exams/{encounter}/readings/{reading}/accept", CLINICAL, exam::actions::accept),
        post("/exams/{encounter}/readings/{reading}/undo", CLINICAL, exam::actions::undo),
        post("/exams/{encounter}/readings/{reading}/reject", CLINICAL, exam::actions::reject),
        post("/exams/{encounter}/readings/{reading}/move", CLINICAL, exam::actions::move_out),
        post("/exams/{encounter}/readings/{reading}/swap", CLINICAL, exam::correct::swap),
        post("/exams/{encounter}/readings/{reading}/side", CLINICAL, exam::correct::side),
        post("/exams/{encounter}/readings/{reading}/purpose", CLINICAL, exam::correct::purpose),
        post("/exams/{encounter}/readings/{reading}/drops", CLINICAL, exam::correct::drops),
        get(
            "/exams/{encounter}/readings/{reading}/amend/{test}",
            CLINICAL,
            exam::sheet::show_amend,
        ),
        post(
            "/exams/{encounter}/readings/{reading}/amend/{test}",
            CLINICAL,
            exam::sheet::save_amend,
        ),
        get("/exams/{encounter}/type/{test}", CLINICAL, exam::sheet::show_new),
        post("/exams/{encounter}/type/{test}", CLINICAL, exam::sheet::save_new),
        post("/exams/{encounter}/not-taken", CLINICAL, exam::notes::not_taken),
        post(
            "/exams/{encounter}/not-taken/{note}/withdraw",
            CLINICAL,
            exam::notes::withdraw_not_taken,
        ),
        post("/exams/{encounter}/drops", CLINICAL, exam::notes::drops),
        post("/exams/{encounter}/drops/{note}/withdraw", CLINICAL, exam::notes::withdraw_drops),
        get("/exams/{encounter}/slip", CLINICAL, slip::show),
        get("/instances/{instance}", CLINICAL, instance::show),
        get("/instances/{instance}/frames/{frame}", CLINICAL, instance::files::frame),
        get("/instances/{instance}/thumbnail.png", CLINICAL, instance::files::thumbnail),
        get("/instances/{instance}/document.pdf", CLINICAL, instance::files::document),
        get("/instances/{instance}/file.dcm", CLINICAL, instance::files::file),
        get("/patients/{patient}/charts", CLINICAL, charts::show),
        post("/patients/{patient}/merges", CLINICAL, charts::merge),
        post("/patients/{patient}/merges/{merge}/undo", CLINICAL, charts::unmerge),
        post("/lanes/{lane}/lens-purpose", CLINICAL, lane::lens_purpose),
        get("/patients", CLINICAL, patients::search),
        get("/patients/{patient}", CLINICAL, history::show),
        post("/preferences", ALL, preferences::save),
        get("/exams/{encounter}/refraction", CLINICAL, exam::refraction::show),
        post("/exams/{encounter}/acuity", CLINICAL, exam::refraction::save_acuity),
        post("/exams/{encounter}/subjective", CLINICAL, exam::refraction::save_subjective),
        post("/exams/{encounter}/subjective/start", CLINICAL, exam::refraction::start),
        post("/exams/{encounter}/final", CLINICAL, exam::refraction::save_final),
        post("/exams/{encounter}/final/take-over", CLINICAL, exam::refraction::finalise),
        get("/exams/{encounter}/sign", CLINICAL, exam::sign::show),
        post("/exams/{encounter}/sign", CLINICAL, exam::sign::sign),
        post("/exams/{encounter}/addenda", CLINICAL, exam::sign::add),
        get("/exams/{encounter}/letter", CLINICAL, exam::letter::letter),
        get("/exams/{encounter}/prescription", CLINICAL, exam::letter::prescription),
        get("/people", CLINIC_IT, people::show),
        post("/people", CLINIC_IT, people::add),
        post("/people/{account}/role", CLINIC_IT, people::set_role),
        post("/people/{account}/password", CLINIC_IT, people::reset_password),
        post("/people/{account}/sign-out", CLINIC_IT, people::sign_out),
        post("/people/{account}/disable", CLINIC_IT, people::disable),
        post("/people/{account}/enable", CLINIC_IT, people::enable),
        post("/people/{account}/claim", CLINIC_IT, people::set_claim),
        get("/account", ALL, account::show),
        post("/account/password", ALL, account::change_password),
        post("/account/pin", CLINICAL, account::set_pin),
        post("/account/sessions/{session}/end", ALL, account::end_session),
        get("/audit", AUDIT, audit::show),
        get("/audit.csv", AUDIT, audit::export),
        get("/notices", CLINICAL, notices::show),
        post("/notices/{notice}/seen", CLINICAL, notices::see),
        get("/optical", OPTICAL, optical::show),
        get("/optical/{encounter}", OPTICAL, optical::one::show),
        post("/optical/{encounter}/received", OPTICAL, optical::one::receive),
        post("/optical/{encounter}/orders", OPTICAL, optical::one::make),
        get("/orders/{order}", OPTICAL, optical::order::show),
        post("/orders/{order}/amend", OPTICAL, optical::order::amend),
        post("/orders/{order}/cancel", OPTICAL, optical::order::cancel),
        post("/orders/{order}/readings/{reading}/take", OPTICAL, optical::order::take),
        post("/orders/{order}/readings/{reading}/decide", OPTICAL, optical::order::decide),
        get("/charges", CLINICAL, charges::show),
        get("/charges.csv", CLINICAL, charges::csv),
        post("/exams/{encounter}/charges/{code}", CLINICAL, charges::say),
        get("/readings/{reading}/raw", CLINICAL, raw::show),
        get("/inbox", CLINICAL, inbox::choose),
        get("/inbox/{location}", CLINICAL, inbox::show),
        post("/exams/{encounter}/images/{instance}/out", CLINICAL, exam::images::take_out),
        post("/inbox/{location}/images/{instance}/assign", CLINICAL, inbox_images::assign),
        post("/inbox/{location}/images/{instance}/reject", CLINICAL, inbox_images::reject),
        post("/inbox/{location}/{reading}/assign", CLINICAL, inbox::assign),
        post("/inbox/{location}/{reading}/reject", CLINICAL, inbox::reject),
        post("/inbox/{location}/{reading}/take", CLINICAL, inbox::take),
        post("/inbox/{location}/{reading}/give-back", CLINICAL, inbox::give_back),
        get("/reports", REPORTS, reports::show),
        get("/reports.csv", REPORTS, reports::csv),
        get("/instruments", ALL, instruments::list),
        get("/instruments/{driver}", ALL, instruments::one),
        post("/instruments/examine", ALL, instruments::examine),
        get("/fleet", ALL, fleet::show),
        get("/incidents", FLEET, incidents::show),
        post("/incidents/{incident}/acknowledge", FLEET, incidents::acknowledge),
        get("/locations/{location}/hours", FLEET, opening::show),
        post("/locations/{location}/hours", FLEET, opening::save),
        post("/locations/{location}/holidays", FLEET, opening::add_holiday),
        post("/locations/{location}/holidays/remove", FLEET, opening::remove_holiday),
        post("/fleet/gateways", FLEET, fleet::enrol),
        post("/fleet/gateways/{gateway}/revoke", FLEET, fleet::revoke),
        get("/fleet/gateways/{gateway}/wiped.json", FLEET, fleet::wipe_record),
        get("/fleet/gateways/{gateway}/configuration", FLEET, configuration::show),
        post("/fleet/gateways/{gateway}/configuration", FLEET, configuration::apply),
        post("/fleet/gateways/{gateway}/listen", FLEET, configuration::listen),
        get("/fleet/gateways/{gateway}/configuration.csv", FLEET, configuration::export),
        post("/fleet/gateways/{gateway}/configuration/draft", FLEET, configuration::draft),
        post("/fleet/gateways/{gateway}/configuration/csv", FLEET, configuration::import),
        post(
            "/fleet/gateways/{gateway}/configuration/{version}/restore",
            FLEET,
            configuration::restore,
        ),
        get("/fleet/failures", FLEET, failures::show),
        post("/fleet/failures/decode-again", FLEET, failures::decode_again),
        get("/fleet/failures/{capture}", FLEET, failures::sample::show),
        post("/fleet/failures/{capture}/unmask", CLINIC_IT, failures::sample::unmask),
    ]
}

fn api_routes() -> Vec<Route> {
    use api::{
        audit, charges, corrections, docs, exam, fleet, history, inboxes, lanes, openapi, optical,
        orders, patients, record, reports, waiting,
    };
    vec![
        get("/api/v1/openapi.json", PUBLIC, openapi::document),
        get("/api/v1/docs", PUBLIC, docs::show),
        post("/api/v1/sign-in", PUBLIC, auth::sign_in_by_json),
        post("/api/v1/sign-out", ALL, auth::sign_out_by_json),
        get("/api/v1/me", ALL, patients::me),
        get("/api/v1/patients", CLINICAL, patients::search),
        get("/api/v1/patients/{patient}/history", CLINICAL, history::one),
        get("/api/v1/schedule", CLINICAL, patients::schedule),
        post("/api/v1/schedule/import", SCHEDULE, patients::import),
        get("/api/v1/lanes", CLINICAL, lanes::list),
        get("/api/v1/lanes/{lane}", CLINICAL, lanes::one),
        post("/api/v1/lanes/{lane}/session", CLINICAL, lanes::open),
        post("/api/v1/lanes/{lane}/session/end", CLINICAL, lanes::close),
        get("/api/v1/encounters/{encounter}/readings", CLINICAL, exam::readings),
        post("/api/v1/encounters/{encounter}/accept", CLINICAL, exam::accept_all),
        post("/api/v1/encounters/{encounter}/readings/{reading}/accept", CLINICAL, exam::accept),
        post("/api/v1/encounters/{encounter}/readings/{reading}/undo", CLINICAL, exam::undo),
        post("/api/v1/encounters/{encounter}/readings/{reading}/reject", CLINICAL, exam::reject),
        post("/api/v1/encounters/{encounter}/readings/{reading}/move", CLINICAL, exam::move_out),
        post("/api/v1/encounters/{encounter}/readings/{reading}/swap", CLINICAL, corrections::swap),
        post("/api/v1/encounters/{encounter}/readings/{reading}/side", CLINICAL, corrections::side),
        post(
            "/api/v1/encounters/{encounter}/readings/{reading}/purpose",
            CLINICAL,
            corrections::purpose,
        ),
        post(
            "/api/v1/encounters/{encounter}/readings/{reading}/drops",
            CLINICAL,
            corrections::drops,
        ),
        post(
            "/api/v1/encounters/{encounter}/readings/{reading}/amend",
            CLINICAL,
            corrections::amend,
        ),
        post("/api/v1/encounters/{encounter}/readings", CLINICAL, corrections::type_in),
        post("/api/v1/encounters/{encounter}/not-taken", CLINICAL, corrections::not_taken),
        post("/api/v1/encounters/{encounter}/drops", CLINICAL, corrections::give_drops),
        post("/api/v1/patients/{patient}/merges", CLINICAL, corrections::merge),
        post("/api/v1/patients/{patient}/merges/{merge}/undo", CLINICAL, corrections::unmerge),
        get("/api/v1/encounters/{encounter}/prescription", CLINICAL, record::entries),
        post("/api/v1/encounters/{encounter}/acuity", CLINICAL, record::save_acuity),
        post("/api/v1/encounters/{encounter}/subjective", CLINICAL, record::save_subjective),
        post("/api/v1/encounters/{encounter}/subjective/start", CLINICAL, record::start),
        post("/api/v1/encounters/{encounter}/final", CLINICAL, record::save_final),
        post("/api/v1/encounters/{encounter}/final/take-over", CLINICAL, record::finalise),
        get("/api/v1/encounters/{encounter}/sign", CLINICAL, record::signature),
        post("/api/v1/encounters/{encounter}/sign", CLINICAL, record::sign),
        get("/api/v1/encounters/{encounter}/addenda", CLINICAL, record::addenda),
        post("/api/v1/encounters/{encounter}/addenda", CLINICAL, record::add),
        get("/api/v1/encounters/{encounter}/notices", CLINICAL, record::notices_of_exam),
        get("/api/v1/notices", CLINICAL, record::notices),
        post("/api/v1/notices/{notice}/seen", CLINICAL, record::see),
        get(
            "/api/v1/encounters/{encounter}/vision-prescription",
            OPTICAL,
            optical::vision_prescription,
        ),
        get("/api/v1/optical", OPTICAL, orders::list),
        post("/api/v1/encounters/{encounter}/optical/received", OPTICAL, orders::receive),
        post("/api/v1/encounters/{encounter}/orders", OPTICAL, orders::make),
        get("/api/v1/encounters/{encounter}/orders", OPTICAL, orders::of_exam),
        get("/api/v1/orders/{order}", OPTICAL, orders::one),
        post("/api/v1/orders/{order}/amend", OPTICAL, orders::amend),
        post("/api/v1/orders/{order}/cancel", OPTICAL, orders::cancel),
        post("/api/v1/orders/{order}/readings/{reading}/take", OPTICAL, orders::take),
        get("/api/v1/orders/{order}/readings/{reading}", OPTICAL, orders::compared),
        post("/api/v1/orders/{order}/readings/{reading}/decide", OPTICAL, orders::decide),
        get("/api/v1/charges", CLINICAL, charges::of_day),
        get("/api/v1/encounters/{encounter}/charges", CLINICAL, charges::of_exam),
        post("/api/v1/encounters/{encounter}/charges/{code}", CLINICAL, charges::say),
        get("/api/v1/waiting", CLINICAL, waiting::list),
        post("/api/v1/waiting/{reading}/assign", CLINICAL, waiting::assign),
        post("/api/v1/waiting/{reading}/reject", CLINICAL, waiting::reject),
        get("/api/v1/audit", AUDIT, audit::list),
        get("/api/v1/inboxes", CLINICAL, inboxes::list),
        get("/api/v1/inboxes/{location}", CLINICAL, inboxes::one),
        post("/api/v1/waiting/{reading}/take", CLINICAL, inboxes::take),
        post("/api/v1/waiting/{reading}/give-back", CLINICAL, inboxes::give_back),
        get("/api/v1/reports", REPORTS, reports::show),
        get("/api/v1/fleet", ALL, fleet::list),
        get("/api/v1/conservation", ALL, fleet::conservation),
    ]
}

fn dicomweb_routes() -> Vec<Route> {
    use super::dicomweb::{qido, stow, wado};
    // Objects are larger than what pages send.
    let large = |path| {
        let route = post(path, CLINICAL, stow::store);
        let limit = DefaultBodyLimit::max(stow::BODY_LEN_MAX);
        Route { handler: route.handler.layer(limit), ..route }
    };
    vec![
        get("/dicomweb/studies", CLINICAL, qido::studies),
        get("/dicomweb/series", CLINICAL, qido::series),
        get("/dicomweb/instances", CLINICAL, qido::instances),
        get("/dicomweb/studies/{study}/series", CLINICAL, qido::series),
        get("/dicomweb/studies/{study}/instances", CLINICAL, qido::instances),
        get("/dicomweb/studies/{study}/series/{series}/instances", CLINICAL, qido::instances),
        get("/dicomweb/studies/{study}", CLINICAL, wado::objects),
        get("/dicomweb/studies/{study}/series/{series}", CLINICAL, wado::objects),
        get("/dicomweb/studies/{study}/series/{series}/instances/{sop}", CLINICAL, wado::objects),
        get("/dicomweb/studies/{study}/metadata", CLINICAL, wado::metadata),
        get("/dicomweb/studies/{study}/series/{series}/metadata", CLINICAL, wado::metadata),
        get(
            "/dicomweb/studies/{study}/series/{series}/instances/{sop}/metadata",
            CLINICAL,
            wado::metadata,
        ),
        get(
            "/dicomweb/studies/{study}/series/{series}/instances/{sop}/frames/{frames}",
            CLINICAL,
            wado::frames,
        ),
        get(
            "/dicomweb/studies/{study}/series/{series}/instances/{sop}/bulkdata/{element}",
            CLINICAL,
            wado::bulk_data,
        ),
        get(
            "/dicomweb/studies/{study}/series/{series}/instances/{sop}/rendered",
            CLINICAL,
            wado::rendered,
        ),
        get(
            "/dicomweb/studies/{study}/series/{series}/instances/{sop}/frames/{frames}/rendered",
            CLINICAL,
            wado::rendered,
        ),
        large("/dicomweb/studies"),
        large("/dicomweb/studies/{study}"),
    ]
}
