//! What a component imports and exports, without running it.

use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldItem, WorldKey};

/// Names of a component's imports and exports, as `package/interface@version`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct World {
    /// In the order of the component.
    pub imports: Vec<String>,
    /// In the order of the component.
    pub exports: Vec<String>,
}

impl World {
    /// None: it cannot be read; loading it says why.
    pub(crate) fn of(component: &[u8]) -> Option<Self> {
        let DecodedWasm::Component(resolve, world) = wit_component::decode(component).ok()? else {
            return None;
        };
        let world = resolve.worlds.get(world)?;
        let names = |items: &mut dyn Iterator<Item = (&WorldKey, &WorldItem)>| {
            items.map(|(key, _)| name(&resolve, key)).collect()
        };
        Some(Self { imports: names(&mut world.imports.iter()), exports: names(&mut world.exports.iter()) })
    }

    /// Names of the contract's optional interfaces among the exports, for example `probe`.
    pub(crate) fn optional_interfaces(&self) -> Vec<&str> {
        let ours = self.exports.iter().filter_map(|export| export.strip_prefix("db-backup:plugin/"));
        ours.map(|name| name.split_once('@').map_or(name, |(name, _)| name))
            .filter(|name| !matches!(*name, "descriptor" | "backup"))
            .collect()
    }
}

fn name(resolve: &Resolve, key: &WorldKey) -> String {
    resolve.name_world_key(key)
}
