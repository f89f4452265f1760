//! What calls took reaches whoever wants to know.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbbackup_plugin_host::{CallStats, Function, Host, Limits, Observer, Options};

use crate::support::{component, request};

/// Function, plugin, fuel, peak memory, refused growth, failure.
type Seen = (Function, Option<String>, u64, usize, Option<usize>, Option<&'static str>);

#[derive(Clone, Debug, Default)]
struct Witness(Arc<Mutex<Vec<Seen>>>);

impl Observer for Witness {
    fn called(&self, stats: &CallStats<'_>) {
        let CallStats { plugin, function, time, fuel, peak_memory, refused_growth, failure } = stats;
        assert!(*time > Duration::ZERO);
        let seen = (*function, plugin.map(str::to_owned), *fuel, *peak_memory, *refused_growth, *failure);
        self.0.lock().unwrap().push(seen);
    }
}

#[test]
fn every_call_is_measured() {
    let witness = Witness::default();
    let limits = Limits { deadline: Duration::from_mins(5), ..Limits::default() };
    let options = Options { limits, observer: Some(Arc::new(witness.clone())), ..Options::default() };
    let plugin = Host::with(options).unwrap().load(&component("misbehaving-guest"), "").unwrap();
    let take = || std::mem::take(&mut *witness.0.lock().unwrap());
    let described = take();
    assert_eq!((described.len(), described[0].0, &described[0].1), (1, Function::Describe, &None));

    for name in ["ok", "ok", "spin", "allocate", "trap"] {
        let _ = plugin.plan(&request("misbehaving-type", name));
    }
    let seen = take();
    assert!(
        seen.iter().all(|seen| seen.0 == Function::Plan && seen.1.as_deref() == Some("misbehaving-guest"))
    );
    let [first, second, spin, allocate, trap] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(first, second, "equal calls take the same");
    assert!((1_000..1_000_000).contains(&first.2) && first.5.is_none(), "{first:?}");
    assert!(first.3 > 64 << 10 && first.3 < 8 << 20 && first.4.is_none(), "{first:?}");
    assert_eq!((spin.2, spin.5), (1_000_000_000, Some("PluginOutOfFuel")));
    assert!(allocate.3 <= 64 << 20 && allocate.3 > 60 << 20, "{allocate:?}");
    assert!(allocate.4.unwrap() > 64 << 20 && allocate.5 == Some("PluginOutOfMemory"), "{allocate:?}");
    assert_eq!(trap.5, Some("PluginTrapped"));
}
