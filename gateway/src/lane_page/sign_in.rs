//! Who is at the page: a login and a PIN, both told by the cloud. Nothing of it outlives a restart.

use super::StaffCache;
use argon2::{Argon2, PasswordVerifier};
use chiasm_proto::lane_page::{PIN_LEN_MAX, StaffMember};
use rand::{TryRngCore, rngs::OsRng};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// A sign-in ends when nobody has used it for this time.
pub const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// A sign-in ends after this time, whatever happens.
pub const ABSOLUTE_MAX: Duration = Duration::from_secs(12 * 3600);
/// People who are signed in at the same time.
pub const SIGN_INS_MAX: usize = 100;
/// Wrong PINs of one login within [`ATTEMPTS_WINDOW`]: of a million PINs an hour tries thirty.
pub const ATTEMPTS_MAX: u32 = 5;
/// Wrong PINs from one address.
pub const ATTEMPTS_ADDRESS_MAX: u32 = 20;
pub const ATTEMPTS_WINDOW: Duration = Duration::from_secs(10 * 60);
/// Logins and addresses that are remembered.
const REMEMBERED_MAX: usize = 1000;
/// Longest login, in bytes.
pub const LOGIN_LEN_MAX: usize = 100;
/// A PIN that belongs to nobody, so that an unknown login takes as long as a known one.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Y2hpYXNtLW5vYm9keQ\
                      $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why nobody was signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    #[error("Name or PIN is not right.")]
    Wrong,
    #[error("Too many attempts: wait ten minutes.")]
    TooMany,
    #[error("The cloud has not told this gateway yet who may use it.")]
    NoStaff,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub account: String,
    pub name: String,
    /// Stands in every form, against requests from elsewhere.
    pub csrf: String,
}

struct SignIn {
    person: Person,
    since: Instant,
    used: Instant,
}

pub struct SignIns {
    staff: StaffCache,
    open: Mutex<HashMap<String, SignIn>>,
    attempts: Mutex<HashMap<String, (Instant, u32)>>,
    /// One PIN at a time: each takes 19 MiB and a core of a small computer.
    hashing: Semaphore,
}

impl SignIns {
    pub fn new(staff: StaffCache) -> Self {
        let (open, attempts) = (Mutex::default(), Mutex::default());
        Self { staff, open, attempts, hashing: Semaphore::new(1) }
    }

    /// Checks login and PIN; gives the token for the browser.
    pub async fn sign_in(
        &self,
        login: &str,
        pin: &str,
        from: IpAddr,
        now: Instant,
    ) -> Result<String, SignInError> {
        let login: String = login.trim().to_lowercase();
        let keys = [
            (format!("login {login}"), ATTEMPTS_MAX),
            (format!("address {from}"), ATTEMPTS_ADDRESS_MAX),
        ];
        if login.len() > LOGIN_LEN_MAX || pin.len() > PIN_LEN_MAX {
            return Err(SignInError::Wrong);
        }
        let staff = self.staff.current().ok_or(SignInError::NoStaff)?;
        // Counted before it is tried, so that many at once are counted as well.
        let counted = keys.each_ref().map(|(key, most)| self.count(key, now) <= *most);
        if counted.contains(&false) {
            return Err(SignInError::TooMany);
        }
        let member = staff.people.iter().find(|it| it.login.to_lowercase() == login).cloned();
        let is_right = self.is_right(pin.to_owned(), member.as_ref()).await;
        match member.filter(|_| is_right) {
            Some(member) => {
                keys.iter().for_each(|(key, _)| self.forget(key));
                Ok(self.begin(&member, now))
            }
            None => Err(SignInError::Wrong),
        }
    }

    async fn is_right(&self, pin: String, member: Option<&StaffMember>) -> bool {
        let Ok(_turn) = self.hashing.acquire().await else { return false };
        let hash = member.map_or_else(|| NOBODY.to_owned(), |it| it.pin_hash.clone());
        let verify =
            move || Argon2::default().verify_password(pin.as_bytes(), hash.as_str()).is_ok();
        tokio::task::spawn_blocking(verify).await.unwrap_or(false) && member.is_some()
    }

    fn begin(&self, member: &StaffMember, now: Instant) -> String {
        let (token, csrf) = (random_token(), random_token());
        let person = Person { account: member.account.clone(), name: member.name.clone(), csrf };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, it| !it.is_over(now));
        if open.len() >= SIGN_INS_MAX {
            let oldest = open.iter().min_by_key(|(_, it)| it.used).map(|(token, _)| token.clone());
            oldest.and_then(|token| open.remove(&token));
        }
        open.insert(token.clone(), SignIn { person, since: now, used: now });
        token
    }

    /// Who a token belongs to. `is_person` is false for what the page fetches by itself, which must
    /// not keep an unattended screen signed in. A person whom the cloud has taken off is out.
    pub fn who(&self, token: &str, is_person: bool, now: Instant) -> Option<Person> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.get_mut(token).filter(|it| !it.is_over(now))?;
        if is_person {
            found.used = now;
        }
        let person = found.person.clone();
        let staff = self.staff.current()?;
        staff.people.iter().any(|it| it.account == person.account).then_some(person)
    }

    pub fn sign_out(&self, token: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    fn count(&self, key: &str, now: Instant) -> u32 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= REMEMBERED_MAX {
            attempts.retain(|_, (since, _)| now.duration_since(*since) < ATTEMPTS_WINDOW);
        }
        if attempts.len() >= REMEMBERED_MAX {
            let oldest = attempts.iter().min_by_key(|(_, (since, _))| *since);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| attempts.remove(&key));
        }
        let entry = attempts.entry(key.to_owned()).or_insert((now, 0));
        if now.duration_since(entry.0) >= ATTEMPTS_WINDOW {
            *entry = (now, 0);
        }
        entry.1 += 1;
        entry.1
    }

    fn forget(&self, key: &str) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl SignIn {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) >= IDLE_MAX || now.duration_since(self.since) >= ABSOLUTE_MAX
    }
}

fn random_token() -> String {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lane_page::open_staff, seal::Key};
    use argon2::PasswordHasher;
    use chiasm_proto::Staff;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn staff(people: Vec<StaffMember>) -> Staff {
        Staff {
            generated_at: "2026-11-30T07:00:00Z".parse().unwrap(),
            location: "Main street".into(),
            time_zone: "UTC".into(),
            lanes: vec![],
            people,
        }
    }

    fn ana() -> StaffMember {
        let pin_hash = Argon2::default().hash_password(b"204816").unwrap().to_string();
        let text = |text: &str| text.to_owned();
        StaffMember { account: text("a1"), login: text("ana"), name: text("Ana Ruiz"), pin_hash }
    }

    #[tokio::test]
    async fn only_the_right_pin_of_somebody_signs_in_and_idle_time_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open_staff(dir.path(), &Key::from_bytes(&[7; 32]));
        let sign_ins = SignIns::new(cache.clone());
        let now = Instant::now();
        let try_it = async |login, pin| sign_ins.sign_in(login, pin, HERE, now).await;
        assert_eq!(try_it("ana", "204816").await, Err(SignInError::NoStaff));
        cache.store(staff(vec![ana()])).unwrap();
        assert_eq!(try_it("ana", "204817").await, Err(SignInError::Wrong));
        assert_eq!(try_it("ben", "204816").await, Err(SignInError::Wrong));
        let token = try_it(" ANA ", "204816").await.unwrap();
        assert_eq!(sign_ins.who(&token, true, now).unwrap().account, "a1");
        assert_eq!(sign_ins.who("another", true, now), None);
        let later = now + IDLE_MAX / 2;
        assert!(sign_ins.who(&token, false, later).is_some(), "a poll does not count as use");
        assert_eq!(sign_ins.who(&token, true, now + IDLE_MAX), None);
        let token = try_it("ana", "204816").await.unwrap();
        cache.store(staff(vec![])).unwrap();
        assert_eq!(sign_ins.who(&token, true, now), None, "the cloud has taken her off");
    }

    #[tokio::test]
    async fn wrong_pins_are_limited() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open_staff(dir.path(), &Key::from_bytes(&[7; 32]));
        cache.store(staff(vec![ana()])).unwrap();
        let sign_ins = SignIns::new(cache);
        let now = Instant::now();
        for _ in 0..ATTEMPTS_MAX {
            let tried = sign_ins.sign_in("ana", "111112", HERE, now).await;
            assert_eq!(tried, Err(SignInError::Wrong));
        }
        let tried = sign_ins.sign_in("ana", "204816", HERE, now).await;
        assert_eq!(tried, Err(SignInError::TooMany), "also with the right one");
        let later = now + ATTEMPTS_WINDOW;
        assert!(sign_ins.sign_in("ana", "204816", HERE, later).await.is_ok());
    }
}
