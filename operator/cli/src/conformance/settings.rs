//! Every setting can be used, and every invalid one is refused at its place.

use std::collections::BTreeSet;

use dbbackup_plugin_host::Plugin;
use dbbackup_protocol::{
    contract::{Issue, Request},
    plan::BackupPlan,
};
use serde_json::{Map, Value};

use super::{
    examiner::{Answer, Examiner},
    report::{Id, Report},
    samples::Seed,
    schema,
};

/// How many combinations of settings are tried for each object that settings are varied on.
const COMBINATIONS: usize = 32;
/// Most requests of one object that are tried in pairs.
const PAIRS: usize = 256;

/// A request that was answered with a plan.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// Names it in faults.
    pub about: String,
    pub seed: Seed,
    /// As the user wrote them.
    pub settings: Map<String, Value>,
    pub request: Request,
    pub plan: BackupPlan,
}

/// What the settings of the schema lead to.
#[derive(Clone, Debug, Default)]
pub(super) struct Explored {
    /// Requests with different plans.
    pub planned: Vec<Planned>,
    /// What was said where there was no plan.
    pub refusals: Vec<String>,
    /// Places of settings that were accepted.
    reached: BTreeSet<String>,
    /// Names of settings that changed a plan.
    effective: BTreeSet<String>,
}

/// Plans for every seed, and varies the settings of some.
pub(super) fn explore(examiner: &mut Examiner<'_>, seeds: &[Seed], number: u64) -> Explored {
    let mut explored = Explored::default();
    for seed in seeds {
        let mut tour = Explorer { examiner: &mut *examiner, seed, explored: &mut explored };
        let Some((base, plan)) = tour.base() else { continue };
        if seed.varied {
            tour.vary(&base, &plan, number);
        }
    }
    explored
}

struct Explorer<'a, 'b> {
    examiner: &'a mut Examiner<'b>,
    seed: &'a Seed,
    explored: &'a mut Explored,
}

type Settings = Map<String, Value>;

impl Explorer<'_, '_> {
    /// The first settings that are accepted: the seed's own, what is required, or that with one or two more.
    fn base(&mut self) -> Option<(Settings, BackupPlan)> {
        let own = self.seed.object.spec.settings.clone().unwrap_or_default();
        let mut required = schema::required(self.examiner.plugin.settings_schema());
        required.extend(own.clone());
        let singles: Vec<Settings> =
            self.candidates().into_iter().map(|(name, value)| with(&required, &name, value)).collect();
        let beginnings = [own, required];
        for settings in beginnings.iter().chain(&singles) {
            if let Some(plan) = self.plan(settings) {
                return Some((settings.clone(), plan));
            }
        }
        let pairs = singles.iter().flat_map(|a| singles.iter().map(move |b| merged(a, b)));
        pairs.take(PAIRS).find_map(|settings| self.plan(&settings).map(|plan| (settings, plan)))
    }

    /// One more setting, two more settings where one alone had no effect, and combinations of many.
    fn vary(&mut self, base: &Settings, plan: &BackupPlan, number: u64) {
        let candidates = self.candidates();
        let mut singles = Vec::new();
        for (name, value) in &candidates {
            let settings = with(base, name, value.clone());
            if let Some(varied) = self.plan(&settings) {
                self.compare(name, plan, &varied);
                singles.push((settings, varied));
            }
        }
        let mut tried = 0;
        for (name, value) in &candidates {
            for (settings, plan) in &singles {
                if tried == PAIRS || self.explored.effective.contains(name) {
                    break;
                }
                if !settings.contains_key(name) {
                    tried += 1;
                    if let Some(varied) = self.plan(&with(settings, name, value.clone())) {
                        self.compare(name, plan, &varied);
                    }
                }
            }
        }
        let mut random = SplitMix(number);
        for _ in 0..COMBINATIONS {
            let mut settings = base.clone();
            for (name, value) in &candidates {
                // Each name comes several times, so that about half of the settings are there.
                if random.next().is_multiple_of(8) {
                    settings.insert(name.clone(), value.clone());
                }
            }
            self.plan(&settings);
        }
    }

    /// Every property with the values that may stand there.
    fn candidates(&self) -> Vec<(String, Value)> {
        schema::properties(self.examiner.plugin.settings_schema())
            .flat_map(|(name, property)| {
                schema::candidates(property).into_iter().map(move |value| (name.clone(), value))
            })
            .collect()
    }

    fn compare(&mut self, name: &str, before: &BackupPlan, after: &BackupPlan) {
        if before != after {
            self.explored.effective.insert(name.to_owned());
        }
    }

    /// Asks, and keeps the plan if it is a new one. Settings that the schema refuses are not asked for.
    fn plan(&mut self, settings: &Settings) -> Option<BackupPlan> {
        let about = about(self.seed, settings);
        let request = match self.seed.request(self.examiner.plugin, settings) {
            Ok(request) => request,
            Err(issues) => return self.refused(&about, &issues),
        };
        match self.examiner.ask(&request, &about) {
            Answer::Plan(plan) => {
                reached(&Value::Object(settings.clone()), "", &mut self.explored.reached);
                if !self.explored.planned.iter().any(|known| known.plan == *plan) {
                    let (seed, settings) = (self.seed.clone(), settings.clone());
                    let plan = (*plan).clone();
                    self.explored.planned.push(Planned { about, seed, settings, request, plan });
                }
                Some(*plan)
            }
            Answer::Refused(issues) => self.refused(&about, &issues),
            Answer::Failed => None,
        }
    }

    fn refused(&mut self, about: &str, issues: &[Issue]) -> Option<BackupPlan> {
        let first = issues.first().map_or_else(String::new, |issue| {
            format!("spec{}: {}", issue.path.replace('/', "."), issue.message)
        });
        self.explored.refusals.push(format!("{about}: {first}"));
        None
    }
}

/// Every named property is in some request that was planned.
pub(super) fn reachable(plugin: &Plugin, explored: &Explored, report: &mut Report) {
    let places = schema::places(plugin.settings_schema());
    let unreached = places.iter().filter(|(place, _)| !explored.reached.contains(place));
    let faults = unreached.map(|(place, _)| {
        format!(
            "/settings{place}: no value of it is accepted; give the property `examples` in the schema, or a sample in \
             --samples"
        )
    });
    let faults = faults.collect();
    let idle: Vec<_> = schema::properties(plugin.settings_schema())
        .map(|(name, _)| name.as_str())
        .filter(|name| !explored.effective.contains(*name))
        .collect();
    let message = match idle.as_slice() {
        [] => format!("{} settings, each changes a plan", places.len()),
        idle => format!("{} settings; without effect in what was tried: {}", places.len(), idle.join(", ")),
    };
    report.settle(Id::SettingsReachable, faults, message);
}

/// What the schema forbids is refused where it stands, and what nobody knows is noticed.
pub(super) fn invalid(examiner: &mut Examiner<'_>, planned: &[Planned], report: &mut Report) {
    let plugin = examiner.plugin;
    let Some(base) = planned.first() else { return };
    let mut faults = Vec::new();
    let mut tried = 0;
    for (place, property) in schema::places(plugin.settings_schema()) {
        if !schema::restricts(property) {
            faults.push(format!("/settings{place}: every value is accepted, its schema says no type"));
        }
        for (wrong, value) in schema::violations(property) {
            let mut settings = Value::Object(base.settings.clone());
            put(&mut settings, &place, value);
            let Value::Object(settings) = settings else { continue };
            tried += 1;
            match plugin.validate_settings(Some(&settings)) {
                Ok(_) => faults.push(format!("/settings{place}: a value {wrong} is accepted")),
                Err(issues) if issues.iter().any(|issue| is_at(&issue.path, &place)) => {}
                Err(issues) => {
                    let paths: Vec<_> = issues.iter().map(|issue| issue.path.as_str()).collect();
                    faults.push(format!(
                        "/settings{place}: a value {wrong} is refused at {}",
                        paths.join(", ")
                    ));
                }
            }
        }
    }
    let unknown = with(&base.settings, "noSuchSetting", Value::from(1));
    if let Ok(request) = base.seed.request(plugin, &unknown)
        && let Answer::Plan(_) = examiner.ask(&request, "a setting that nobody knows")
    {
        faults.push(
            "/settings: a mistyped setting is not noticed; say \"additionalProperties\": false in the schema"
                .to_owned(),
        );
    }
    report.settle(Id::SettingsInvalid, faults, format!("{tried} invalid values, each refused at its place"));
}

/// Names a request in faults.
fn about(seed: &Seed, settings: &Settings) -> String {
    let text = Value::Object(settings.clone()).to_string();
    let short: String = text.chars().take(160).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{}, settings {short}{more}", seed.about)
}

fn with(settings: &Settings, name: &str, value: Value) -> Settings {
    let mut settings = settings.clone();
    settings.insert(name.to_owned(), value);
    settings
}

fn merged(a: &Settings, b: &Settings) -> Settings {
    a.iter().chain(b).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Adds the places of a document, as [`schema::places`] writes them.
fn reached(value: &Value, at: &str, places: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let at = format!("{at}/{}", schema::escape(name));
                reached(value, &at, places);
                places.insert(at);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| reached(item, &format!("{at}/*"), places)),
        _ => {}
    }
}

/// Puts a value at a place of [`schema::places`], with the objects and lists that lead there.
fn put(settings: &mut Value, place: &str, value: Value) {
    let mut target = settings;
    for segment in place.split('/').skip(1) {
        if segment == "*" {
            if !matches!(target, Value::Array(items) if !items.is_empty()) {
                *target = Value::Array(vec![Value::Null]);
            }
            let Some(first) = target.as_array_mut().and_then(|items| items.first_mut()) else { return };
            target = first;
        } else {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let Some(members) = target.as_object_mut() else { return };
            target = members.entry(segment.replace("~1", "/").replace("~0", "~")).or_insert(Value::Null);
        }
    }
    *target = value;
}

/// Whether an issue is about a place: it names the place, something in it, or something around it.
fn is_at(path: &str, place: &str) -> bool {
    let Some(path) = path.strip_prefix("/settings") else { return false };
    let segments = |text: &str| text.split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
    segments(path).iter().zip(&segments(place)).all(|(a, b)| a == b || b == "*")
}

/// Numbers without chance (`SplitMix64`, Steele et al. 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_put_where_it_belongs() {
        for (place, expected) in [
            ("/a", json!({"a": 1})),
            ("/a~1b/c", json!({"a": {}, "a/b": {"c": 1}})),
            ("/a/*/c", json!({"a": [{"c": 1}]})),
        ] {
            let mut settings = json!({"a": {}});
            put(&mut settings, place, json!(1));
            assert_eq!(settings, expected, "{place}");
        }
    }

    #[test]
    fn an_issue_is_at_its_place_or_around_it() {
        for (path, place, expected) in [
            ("/settings/a", "/a", true),
            ("/settings/a/0", "/a", true),
            ("/settings", "/a/b", true),
            ("/settings/a/3/b", "/a/*/b", true),
            ("/settings/b", "/a", false),
            ("/image", "/a", false),
        ] {
            assert_eq!(is_at(path, place), expected, "{path} {place}");
        }
    }
}
