use proptest::prelude::*;

use super::*;
use crate::admit::Cap;

fn name(name: &str) -> Name {
    ("shop".into(), name.into())
}

fn uses(server: &str) -> Uses {
    let server = Some(server.to_owned()).filter(|server| !server.is_empty());
    Uses { is_run: true, namespace: "shop".into(), destination: Some("s3:/b".into()), server, claim: None }
}

fn on_claim(claim: &str) -> Uses {
    Uses { claim: Some(claim.into()), ..uses("") }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The run `a-1` of object `a`, due at this second.
fn waiter(job: &str, due: i64, uses: Uses) -> Waiter {
    let object = name(job.split('-').next().unwrap());
    Waiter { slot: at(due), job: name(job), object, uses, replaces: vec![] }
}

fn wait(cap: Cap, running: usize, place: usize) -> Verdict {
    Verdict::Wait { cap, running, place }
}

const START: Verdict = Verdict::Start;

fn one() -> Queue {
    Queue::new(Caps { all: Some(1), ..Caps::default() })
}

/// The objects that were called since the last time.
fn called(queue: &mut Queue) -> Vec<String> {
    queue.check();
    queue.called().into_iter().map(|(_, name)| name).collect()
}

#[test]
fn who_is_due_first_comes_first_and_holds_up_nobody_else() {
    let mut queue = Queue::new(Caps { all: Some(3), server: Some(1), ..Caps::default() });
    queue.runs(&name("x-0"), uses("x"), at(9));
    queue.runs(&name("z-0"), uses("z"), at(9));
    let asked = [("a-1", 4, "x"), ("b-1", 2, "x"), ("c-1", 1, "x"), ("d-1", 3, "y"), ("e-1", 5, "")];
    let verdicts = asked.map(|(job, due, server)| queue.ask(waiter(job, due, uses(server)), at(9)));
    let server = Cap::Server;
    let first = [wait(server, 1, 1), wait(server, 1, 1), wait(server, 1, 1), START, wait(Cap::All, 3, 1)];
    assert_eq!(verdicts, first);
    assert_eq!(["a-1", "b-1"].map(|job| queue.verdict(&name(job))), [wait(server, 1, 3), wait(server, 1, 2)]);
    queue.enter(&name("d-1"), at(9));
    queue.ended(&name("z-0"), at(9));
    assert_eq!(called(&mut queue), ["e"], "the others need the server");
    queue.ended(&name("x-0"), at(9));
    assert_eq!(called(&mut queue), ["c"]);
}

#[test]
fn a_claim_that_is_not_shared_takes_one() {
    let mut queue = Queue::new(Caps::default());
    assert_eq!(queue.ask(waiter("a-1", 1, on_claim("pvc:a/b")), at(1)), START);
    assert_eq!(queue.ask(waiter("b-1", 1, uses("")), at(1)), START);
    let verdict = queue.ask(waiter("c-1", 1, on_claim("pvc:a/b")), at(1));
    assert!(verdict.to_string().contains("the claim is not ReadWriteMany"), "{verdict}");
}

#[test]
fn who_was_called_before_it_was_known_what_it_uses_has_to_wait_all_the_same() {
    let mut queue = Queue::new(Caps { all: Some(2), ..Caps::default() });
    for job in ["a-1", "b-1"] {
        assert_eq!(queue.ask(waiter(job, 1, uses("")), at(1)), START, "nobody knows the claim yet");
    }
    assert_eq!(queue.ask(waiter("a-1", 1, on_claim("pvc:a/b")), at(1)), START);
    queue.enter(&name("a-1"), at(1));
    assert_eq!(queue.ask(waiter("b-1", 1, on_claim("pvc:a/b")), at(1)), wait(Cap::Claim, 1, 1));
    queue.check();
    assert_eq!(queue.ask(waiter("c-1", 1, uses("")), at(1)), START, "what it does not need any more is free");
}

#[test]
fn an_edit_of_what_it_uses_counts_and_its_turn_stays() {
    let mut queue = Queue::new(Caps { server: Some(1), ..Caps::default() });
    for server in ["x", "y"] {
        queue.runs(&name(&format!("{server}-0")), uses(server), at(1));
    }
    assert_eq!(queue.ask(waiter("a-1", 1, uses("x")), at(1)), wait(Cap::Server, 1, 1));
    assert_eq!(queue.ask(waiter("b-1", 2, uses("y")), at(2)), wait(Cap::Server, 1, 1));
    // Asked for by hand, its slot is whenever it asks.
    assert_eq!(queue.ask(waiter("a-1", 3, uses("y")), at(3)), wait(Cap::Server, 1, 1));
    assert_eq!(queue.verdict(&name("b-1")), wait(Cap::Server, 1, 2));
    assert_eq!(queue.ask(waiter("a-1", 3, uses("z")), at(3)), START);
}

#[test]
fn a_place_lapses_if_who_was_called_does_not_come_and_who_lapsed_comes_last() {
    let mut queue = one();
    assert_eq!(queue.ask(waiter("a-1", 1, uses("")), at(10)), START);
    for (job, due) in [("b-1", 2), ("c-1", 3)] {
        assert!(queue.ask(waiter(job, due, uses("")), at(10)) != START);
    }
    // It looks again and again, and never gets so far.
    assert_eq!(queue.ask(waiter("a-1", 1, uses("")), at(100)), START);
    queue.lapse(at(129));
    assert!(called(&mut queue).is_empty());
    queue.lapse(at(130));
    assert_eq!(called(&mut queue), ["b"]);
    assert_eq!(queue.ask(waiter("a-1", 1, uses("")), at(131)), wait(Cap::All, 1, 2), "behind c");
    queue.keep(&name("b"), &[], at(131));
    assert_eq!(called(&mut queue), ["c"]);
    queue.enter(&name("c-1"), at(132));
    // Let through, and its Job is never seen.
    queue.lapse(at(132 + 420));
    assert_eq!(called(&mut queue), ["a"]);
    queue.lapse(at(700));
    assert_eq!(called(&mut queue), ["a"], "nobody else wants it");
}

#[test]
fn a_job_that_was_created_while_its_watch_was_silent_is_not_overtaken() {
    let mut queue = one();
    // The pass takes two minutes, and the watch is found dead 230 seconds later.
    queue.ask(waiter("a-1", 1, uses("")), at(1));
    queue.enter(&name("a-1"), at(1));
    for second in [122, 242, 352, 420] {
        assert_eq!(queue.ask(waiter("b-1", 2, uses("")), at(second)), wait(Cap::All, 1, 1), "{second}");
    }
    queue.lapse(at(421));
    assert_eq!(called(&mut queue), ["b"], "there is none");
}

#[test]
fn a_clock_that_is_set_back_keeps_no_place_longer() {
    for (enters, limit) in [(false, 120), (true, 420)] {
        let mut queue = one();
        queue.ask(waiter("a-1", 1, uses("")), at(90_000));
        if enters {
            queue.enter(&name("a-1"), at(90_000));
        }
        assert!(queue.ask(waiter("b-1", 2, uses("")), at(1000)) != START);
        queue.lapse(at(1000 + limit - 1));
        assert!(called(&mut queue).is_empty());
        queue.lapse(at(1000 + limit));
        assert_eq!(called(&mut queue), ["b"]);
    }
}

#[test]
fn a_pass_that_asks_with_the_time_of_its_beginning_shortens_no_place() {
    let mut queue = one();
    queue.ask(waiter("a-1", 1, uses("")), at(220));
    assert!(queue.ask(waiter("b-1", 2, uses("")), at(100)) != START);
    queue.lapse(at(339));
    assert!(called(&mut queue).is_empty());
    queue.lapse(at(340));
    assert_eq!(called(&mut queue), ["b"]);
}

#[test]
fn what_may_have_been_created_keeps_its_place_and_asks_for_no_second_one() {
    let mut queue = one();
    queue.ask(waiter("a-1", 1, uses("")), at(1));
    queue.enter(&name("a-1"), at(1));
    assert_eq!(queue.ask(waiter("a-1", 1, uses("")), at(2)), START);
    queue.enter(&name("a-1"), at(2));
    assert!(queue.ask(waiter("b-1", 1, uses("")), at(2)) != START);
    queue.runs(&name("a-1"), uses(""), at(3));
    queue.lapse(at(1000));
    assert!(called(&mut queue).is_empty(), "it runs");
    queue.ended(&name("a-1"), at(1001));
    assert_eq!(called(&mut queue), ["b"]);
}

#[test]
fn what_is_deleted_is_not_the_one_that_was_let_through_under_its_name() {
    let mut queue = one();
    assert_eq!(queue.slip_in(&name("removal"), uses(""), at(1)), START);
    queue.gone(&name("removal"), at(1));
    assert!(queue.ask(waiter("b-1", 1, uses("")), at(2)) != START);
    queue.give_back(&name("removal"), at(2));
    assert_eq!(called(&mut queue), ["b"]);
}

#[test]
fn who_replaces_takes_the_place_over_and_nobody_comes_between() {
    let mut queue = one();
    queue.runs(&name("a-1"), uses(""), at(1));
    assert_eq!(queue.ask(waiter("b-1", 2, uses("")), at(2)), wait(Cap::All, 1, 1));
    let heir = Waiter { replaces: vec![name("a-1")], ..waiter("a-2", 3, uses("")) };
    assert_eq!(queue.ask(heir.clone(), at(3)), START);
    assert_eq!(queue.verdict(&name("b-1")), wait(Cap::All, 1, 1), "the two count once");
    // The old pods end, which takes longer than anybody is waited for.
    queue.lapse(at(500));
    queue.gone(&name("a-1"), at(600));
    assert_eq!(called(&mut queue), ["a"]);
    queue.lapse(at(700));
    assert_eq!(queue.ask(waiter("a-2", 3, uses("")), at(700)), START);
    queue.enter(&name("a-2"), at(700));
    queue.runs(&name("a-2"), uses(""), at(701));
    queue.ended(&name("a-2"), at(800));
    assert_eq!(called(&mut queue), ["b"]);
}

#[test]
fn who_replaces_and_needs_more_than_it_inherits_waits_first() {
    let mut queue = Queue::new(Caps { all: Some(2), server: Some(1), ..Caps::default() });
    queue.runs(&name("a-1"), uses("x"), at(1));
    queue.runs(&name("b-1"), uses("y"), at(1));
    let heir = Waiter { replaces: vec![name("a-1")], ..waiter("a-2", 3, uses("y")) };
    assert_eq!(queue.ask(heir, at(3)), wait(Cap::Server, 1, 1));
    assert!(queue.ask(waiter("c-1", 4, uses("z")), at(4)) != START);
    queue.ended(&name("b-1"), at(5));
    assert_eq!(called(&mut queue), ["a", "c"], "it needs only the server of the place that is free");
    queue.gone(&name("a-1"), at(6));
    assert_eq!(called(&mut queue), ["a"]);
    assert!(queue.ask(waiter("d-1", 4, uses("x")), at(7)) != START, "a and c");
}

#[test]
fn who_does_not_want_to_replace_any_more_has_no_place() {
    let mut queue = one();
    queue.runs(&name("a-1"), uses(""), at(1));
    queue.ask(waiter("b-1", 2, uses("")), at(2));
    let heir = Waiter { replaces: vec![name("a-1")], ..waiter("a-2", 3, uses("")) };
    assert_eq!(queue.ask(heir, at(3)), START);
    queue.keep(&name("a"), &[], at(4));
    queue.ended(&name("a-1"), at(5));
    assert_eq!(called(&mut queue), ["b"]);
}

#[test]
fn a_thousand_that_wait_are_called_one_by_one_in_their_order() {
    let mut queue = one();
    for due in 0..1000 {
        let asked = queue.ask(waiter(&format!("o{due:04}-1"), due, uses("")), at(1));
        assert_eq!(asked == START, due == 0);
    }
    for due in 0..999 {
        let job = name(&format!("o{due:04}-1"));
        queue.enter(&job, at(2));
        queue.runs(&job, uses(""), at(2));
        assert!(called(&mut queue).is_empty());
        queue.ended(&job, at(2));
        assert_eq!(called(&mut queue), [format!("o{:04}", due + 1)]);
    }
}

impl Queue {
    /// What the queue promises, and that its indexes agree.
    fn check(&self) {
        let mut taken: HashMap<Key, usize> = HashMap::new();
        for key in self.places.values().flat_map(|place| &place.counted) {
            *taken.entry(key.clone()).or_default() += 1;
        }
        assert_eq!(taken, self.taken);
        let mut turns = 0;
        for (job, waiting) in &self.waiting {
            assert!(self.jobs[&waiting.waiter.object].contains(job));
            match &waiting.line {
                Some(line) => {
                    turns += 1;
                    assert!(self.lines[line].contains(&waiting.turn()), "{job:?} is not in its line");
                    assert!(self.is_full(line), "{job:?} waits for nothing");
                    assert!(!self.places.contains_key(job), "{job:?} waits and has a place");
                }
                None => assert!(matches!(self.places[job].stands, Stands::Called(_)), "{job:?}"),
            }
        }
        assert_eq!(turns, self.lines.values().map(BTreeSet::len).sum::<usize>());
        assert!(self.lines.values().all(|line| !line.is_empty()));
        assert_eq!(self.waiting.len(), self.jobs.values().map(BTreeSet::len).sum::<usize>());
        let mut passing = Passing::default();
        self.places.iter().for_each(|(job, place)| passing.insert(place.stands, job));
        assert_eq!((&passing.called, &passing.entered), (&self.passing.called, &self.passing.entered));
        for (old, heir) in &self.heirs {
            assert!(self.places.contains_key(old) && self.places[heir].replaces.contains(old));
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask(usize, i64, Uses, Option<usize>),
    Enter(usize),
    SlipIn(usize, Uses),
    GiveBack(usize),
    Keep(usize),
    Runs(usize, Uses),
    Ended(usize),
    Gone(usize),
    Later(i64),
}

fn any_uses() -> impl Strategy<Value = Uses> {
    ("[ab]", "[ab]?", "[xy]?", "[c]?", any::<bool>()).prop_map(
        |(namespace, destination, server, claim, is_run)| {
            let some = |text: String| Some(text).filter(|text| !text.is_empty());
            Uses {
                is_run,
                namespace,
                destination: some(destination),
                server: some(server),
                claim: some(claim),
            }
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    let job = 0..8_usize;
    prop_oneof![
        6 => (job.clone(), 0..4_i64, any_uses(), prop::option::of(job.clone()))
            .prop_map(|(job, due, uses, old)| Step::Ask(job, due, uses, old)),
        4 => job.clone().prop_map(Step::Enter),
        1 => (job.clone(), any_uses()).prop_map(|(job, uses)| Step::SlipIn(job, uses)),
        1 => job.clone().prop_map(Step::GiveBack),
        1 => job.clone().prop_map(Step::Keep),
        3 => (job.clone(), any_uses()).prop_map(|(job, uses)| Step::Runs(job, uses)),
        3 => job.clone().prop_map(Step::Ended),
        1 => job.prop_map(Step::Gone),
        1 => (-400..600_i64).prop_map(Step::Later),
    ]
}

proptest! {
    /// What was not asked for may run all the same, so a cap may be broken from outside; the queue itself never breaks one further.
    #[test]
    fn no_cap_is_broken_and_nobody_waits_for_nothing(
        steps in prop::collection::vec(any_step(), 0..60),
        (all, namespace, destination, server) in (0_usize..6, 1_usize..4, 1_usize..4, 1_usize..3),
    ) {
        let caps = Caps {
            all: (all > 0).then_some(all),
            namespace: Some(namespace),
            destination: Some(destination),
            server: Some(server),
        };
        let mut queue = Queue::new(caps);
        let mut now = at(0);
        let job = |number: usize| name(&format!("{}-{number}", number % 3));
        for step in steps {
            let before = queue.taken.clone();
            let from_outside = matches!(step, Step::Runs(..));
            match step {
                Step::Ask(number, due, uses, old) => {
                    let replaces = old.filter(|old| *old != number).map(job).into_iter().collect();
                    let wants = Waiter { replaces, ..waiter(&job(number).1, due, uses) };
                    let verdict = queue.ask(wants, now);
                    prop_assert_eq!(verdict, queue.verdict(&job(number)));
                }
                Step::Enter(number) => queue.enter(&job(number), now),
                Step::SlipIn(number, uses) => {
                    // What slips in never waits, and has names of its own.
                    queue.slip_in(&name(&format!("slips-in-{number}")), uses, now);
                }
                Step::GiveBack(number) => queue.give_back(&job(number), now),
                Step::Keep(object) => queue.keep(&name(&(object % 3).to_string()), &[], now),
                Step::Runs(number, uses) => {
                    // As it was let through, most of the time.
                    let uses = queue.places.get(&job(number)).map_or(uses, |place| place.uses.clone());
                    queue.runs(&job(number), uses, now);
                }
                Step::Ended(number) => queue.ended(&job(number), now),
                Step::Gone(number) => queue.gone(&job(number), now),
                Step::Later(seconds) => {
                    now += SignedDuration::from_secs(seconds);
                    queue.lapse(now);
                    for (all, limit) in [(&queue.passing.called, LAPSE), (&queue.passing.entered, UNSEEN)] {
                        let kept = |since| (-PASS..limit).contains(&now.duration_since(since));
                        prop_assert!(all.iter().all(|(since, _)| kept(*since)), "{:?} {:?}", now, all);
                    }
                }
            }
            queue.check();
            for (key, count) in &queue.taken {
                let bound = caps.of(key.0).unwrap().max(before.get(key).copied().unwrap_or_default());
                prop_assert!(*count <= bound || from_outside, "{:?}", key);
            }
        }
        // Everything ends, and everybody gets a turn.
        for _ in 0..40 {
            let there: Vec<_> = queue.places.keys().cloned().collect();
            for job in there {
                queue.enter(&job, now);
                queue.ended(&job, now);
                queue.check();
            }
        }
        prop_assert!(queue.waiting.is_empty() && queue.places.is_empty() && queue.taken.is_empty());
        prop_assert!(queue.heirs.is_empty());
        prop_assert!(queue.passing.called.is_empty() && queue.passing.entered.is_empty());
    }
}
