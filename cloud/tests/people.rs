//! People who sign in: clinic IT looks after them, and everybody after themselves.

#[macro_use]
mod site;

use axum::http::Method;
use chiasm_cloud::{
    app::{audit_chain, password},
    store::{account, audit},
};
use serde_json::json;
use site::{
    Site,
    world::{PASSWORD, TENANT},
};

on_both!(
    a_first_password_is_replaced,
    clinic_it_looks_after_people,
    sessions_are_listed_and_ended,
    wrong_passwords_are_counted_and_noted,
    a_pin_is_chosen_and_taken_away,
);

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

impl Site {
    async fn post(&self, token: &str, path: &str, body: &str) -> (u16, String) {
        let headers = [("authorization", token), FORM];
        let (status, _, page) = self.send(Method::POST, path, &headers, body).await;
        (status, page)
    }
    async fn get(&self, token: &str, path: &str) -> (u16, String) {
        let headers = [("authorization", token)];
        let (status, _, page) = self.send(Method::GET, path, &headers, "").await;
        (status, page)
    }
    /// The status, and the token if there is one.
    async fn try_sign_in(&self, login: &str, password: &str) -> (u16, String) {
        let body = json!({"login": login, "password": password}).to_string();
        let json = [("content-type", "application/json")];
        let (status, _, body) = self.send(Method::POST, "/api/v1/sign-in", &json, &body).await;
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status, format!("Bearer {}", answer["token"].as_str().unwrap_or("")))
    }
    async fn actions_of(&self, account: &str) -> Vec<String> {
        let mut tx = self.world.core.db.tenant_read(TENANT).await.unwrap();
        let all = audit::after(&mut tx, TENANT, 0, 1_000).await.unwrap();
        let of = all.into_iter().filter(|it| it.account_id == account);
        of.map(|it| it.action).collect()
    }
}

fn made_password(page: &str) -> String {
    let code = page.split("class=\"code\">").nth(1).expect("a password is shown");
    code.split('<').next().unwrap().to_owned()
}

/// The id of the person with the login, from the list.
fn id_of(page: &str, login: &str) -> String {
    let before = page.split(&format!(">{login}<")).next().unwrap();
    let id = before.rsplit("id=\"person-").next().unwrap();
    id.split('"').next().unwrap().to_owned()
}

async fn a_first_password_is_replaced(site: Site) {
    let it = site.token("it").await;
    let (status, page) = site.post(&it, "/people", "name=Noa+Klein&login=Noa&role=doctor").await;
    assert_eq!(status, 200, "{page}");
    let first = made_password(&page);
    let (status, noa) = site.try_sign_in("noa", &first).await;
    assert_eq!(status, 200);
    // Nothing else before the password is one's own.
    let (status, _) = site.get(&noa, "/lanes").await;
    assert_eq!(status, 303);
    let (status, page) = site.get(&noa, "/api/v1/lanes").await;
    assert_eq!((status, page.contains("password_is_not_yours")), (403, true));
    assert_eq!(site.post(&noa, "/lanes/lane-1/session/end", "").await.0, 403);
    let (status, page) = site.get(&noa, "/account").await;
    assert!(status == 200 && page.contains("Choose one that only you know"));
    let change = async |old: &str, new: &str, again: &str| {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("old_password", old), ("new_password", new), ("again", again)])
            .finish();
        site.post(&noa, "/account/password", &form).await
    };
    for (old, new, again, words) in [
        ("not the first", "my own words here", "my own words here", "not your present password"),
        (&first, "my own words here", "my own words there", "not the same both times"),
        (&first, "short", "short", "10 to 200"),
        (&first, &first, &first, "another password"),
    ] {
        let (status, page) = change(old, new, again).await;
        assert!(status == 422 && page.contains(words), "{status} {words} {page}");
    }
    let (status, page) = change(&first, "my own words here", "my own words here").await;
    assert!(status == 200 && page.contains("Your password is changed"), "{page}");
    assert_eq!(site.get(&noa, "/lanes").await.0, 200, "goes on with the same sign-in");
    assert_eq!(site.try_sign_in("noa", &first).await.0, 401);
    assert_eq!(site.try_sign_in("noa", "my own words here").await.0, 200);
}

async fn a_pin_is_chosen_and_taken_away(site: Site) {
    let ana = site.token("ana").await;
    let pins = async || {
        let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
        account::with_pin(&mut tx, TENANT, 10).await.unwrap()
    };
    for (pin, again, words) in [
        ("204816", "204817", "not the same both times"),
        ("12345", "12345", "6 to 12 digits"),
        ("777777", "777777", "not all of them the same"),
    ] {
        let form = format!("pin={pin}&again={again}");
        let (status, page) = site.post(&ana, "/account/pin", &form).await;
        assert!(status == 422 && page.contains(words), "{status} {words} {page}");
    }
    assert_eq!(pins().await.len(), 0);
    let (status, page) = site.post(&ana, "/account/pin", "pin=204816&again=204816").await;
    assert!(status == 200 && page.contains("Your PIN is set"), "{page}");
    let set = pins().await;
    assert!(set.len() == 1 && set[0].login == "ana" && set[0].role == "technician");
    assert!(password::verify("204816", Some(&set[0].pin_hash)));
    assert_eq!(site.try_sign_in("ana", "204816").await.0, 401, "it is no password");
    let it = site.token("it").await;
    assert_eq!(site.post(&it, "/account/pin", "pin=204816&again=204816").await.0, 403);
    let (_, page) = site.post(&ana, "/account/pin", "pin=&again=").await;
    assert!(page.contains("taken away"), "{page}");
    assert_eq!(pins().await.len(), 0);
    let actions = site.actions_of(&set[0].account_id).await;
    assert!(actions.contains(&"pin_set".into()) && actions.contains(&"pin_taken_away".into()));
}

async fn clinic_it_looks_after_people(site: Site) {
    let (it, ana) = (site.token("it").await, site.token("ana").await);
    let (_, page) = site.get(&it, "/people").await;
    assert!(!page.contains("Bea Lindt"), "another practice");
    let id = id_of(&page, "ana");
    assert_eq!(id, format!("{TENANT}-ana"));
    let act =
        async |what: &str, body: &str| site.post(&it, &format!("/people/{id}/{what}"), body).await;
    // Another role begins with another sign-in.
    assert_eq!(act("role", "role=doctor").await.0, 303);
    assert_eq!(site.get(&ana, "/api/v1/me").await.0, 401);
    let (_, ana) = site.try_sign_in("ana", PASSWORD).await;
    assert_eq!(site.get(&ana, "/audit").await.0, 200);
    assert_eq!(act("role", "role=emperor").await.0, 422);
    // Kept out, and let in again.
    assert_eq!(act("disable", "").await.0, 303);
    assert_eq!(site.get(&ana, "/api/v1/me").await.0, 401);
    assert_eq!(site.try_sign_in("ana", PASSWORD).await.0, 401);
    assert_eq!(act("enable", "").await.0, 303);
    let (status, ana) = site.try_sign_in("ana", PASSWORD).await;
    assert_eq!(status, 200);
    assert_eq!(act("sign-out", "").await.0, 303);
    assert_eq!(site.get(&ana, "/api/v1/me").await.0, 401);
    let (status, page) = act("password", "").await;
    assert_eq!(status, 200);
    assert_eq!(site.try_sign_in("ana", PASSWORD).await.0, 401);
    assert_eq!(site.try_sign_in("ana", &made_password(&page)).await.0, 200);
    // Nobody shuts themselves out, reaches another practice, or takes a login that is taken.
    for what in ["disable", "role", "password"] {
        let own = format!("/people/{TENANT}-it/{what}");
        assert_eq!(site.post(&it, &own, "role=doctor").await.0, 422, "{what}");
        let elsewhere = format!("/people/elsewhere-bea/{what}");
        assert_eq!(site.post(&it, &elsewhere, "role=doctor").await.0, 404, "{what}");
    }
    for wrong in ["name=X&login=bea&role=doctor", "name=X&login=a+b&role=doctor", "login=new"] {
        assert_eq!(site.post(&it, "/people", wrong).await.0, 422, "{wrong}");
    }
    let actions = site.actions_of(&format!("{TENANT}-it")).await;
    let expected = [
        "account_role_changed",
        "account_disabled",
        "account_enabled",
        "account_signed_out",
        "account_password_reset",
    ];
    assert_eq!(
        actions.iter().filter(|it| it.starts_with("account_")).collect::<Vec<_>>(),
        expected
    );
    let verdict = audit_chain::verify(&site.world.core.db, TENANT, None).await.unwrap();
    assert_eq!(verdict.broken, None);
}

async fn sessions_are_listed_and_ended(site: Site) {
    let (here, there) = (site.token("okafor").await, site.token("okafor").await);
    let other = site.token("ana").await;
    let (_, page) = site.get(&here, "/account").await;
    assert_eq!(page.matches("Sign out there").count(), 1);
    let session = page.split("/account/sessions/").nth(1).unwrap().split('/').next().unwrap();
    let end = format!("/account/sessions/{session}/end");
    assert_eq!(site.post(&other, &end, "").await.0, 404, "somebody else's");
    assert_eq!(site.post(&here, &end, "").await.0, 303);
    assert_eq!(site.get(&there, "/api/v1/me").await.0, 401);
    assert_eq!(site.get(&here, "/api/v1/me").await.0, 200);
}

/// After eight wrong passwords even the right one waits, for this login only; each is in the audit.
async fn wrong_passwords_are_counted_and_noted(site: Site) {
    for _ in 0..8 {
        assert_eq!(site.try_sign_in("ana", "a wrong password").await.0, 401);
    }
    assert_eq!(site.try_sign_in("ana", PASSWORD).await.0, 429);
    assert_eq!(site.try_sign_in("okafor", PASSWORD).await.0, 200, "others are not held up");
    let account = format!("{TENANT}-ana");
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(10));
    let noted = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while site.actions_of(&account).await.iter().filter(|it| *it == "sign_in_failed").count()
            < 8
        {
            tick.tick().await;
        }
    });
    noted.await.expect("the entries are written");
    // One address that tries many logins is held up as well.
    let mut last = 0;
    for at in 0..60 {
        last = site.try_sign_in(&format!("guess{at}"), "a wrong password").await.0;
    }
    assert_eq!(last, 429);
    assert_eq!(site.try_sign_in("okafor", PASSWORD).await.0, 429, "from the same address");
}
