//! Which plugin serves an object: a pure function of what is loaded and what is wished. It never depends on the order
//! of files.

use std::fmt;
use std::str::FromStr;

/// Most plugins that an error lists.
const MAX_LISTED: usize = 20;

/// Which plugin is meant: whatever is given has to fit. As text: `id`, `id@version` or `id@sha256:…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// Id of the plugin.
    pub id: Option<String>,
    /// Exactly this version.
    pub version: Option<String>,
    /// Exactly these bytes.
    pub digest: Option<String>,
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, rest) = text.split_once('@').map_or((text, None), |(id, rest)| (id, Some(rest)));
        if id.is_empty() || rest.is_some_and(str::is_empty) {
            return Err(format!("{text:?} is no plugin: write ID, ID@VERSION or ID@sha256:…"));
        }
        let digest = rest.filter(|rest| rest.starts_with("sha256:"));
        let version = rest.filter(|_| digest.is_none());
        Ok(Self { id: Some(id.to_owned()), version: version.map(Into::into), digest: digest.map(Into::into) })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.id, &self.version, &self.digest];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        f.write_str(&parts.join("@"))
    }
}

/// What an object needs a plugin for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// `spec.databaseType`.
    pub database_type: &'a str,
    /// `spec.plugin`.
    pub pin: Option<&'a Pin>,
    /// The administrator's choice for the type.
    pub preferred: Option<&'a Pin>,
    /// Id of the plugin that stands in for unknown types.
    pub fallback: &'a str,
}

/// A plugin, as far as choosing goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) id: &'a str,
    pub(super) version: &'a str,
    pub(super) digest: &'a str,
    pub(super) types: &'a [String],
    pub(super) source: &'a str,
}

/// Why no plugin serves an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotChosen {
    /// Several could, so nobody does: taking one of them would make the order of files decide.
    #[error(
        "several plugins {claim}, so none serves this: {}; name one of them in spec.plugin, or ask an administrator to choose \
         by --plugin-for {database_type}=ID@VERSION or to remove all but one",
        listed(.claimants)
    )]
    Conflict {
        /// What they have in common.
        claim: String,
        /// `spec.databaseType`.
        database_type: String,
        /// `id@version (digest, file)` of each.
        claimants: Vec<String>,
    },
    /// Nobody can.
    #[error("{wanted}, which is not loaded; loaded are {}", listed(.loaded))]
    NotFound {
        /// What was looked for, and where that is said.
        wanted: String,
        /// `id@version (digest, file)` of all.
        loaded: Vec<String>,
    },
    /// The one that was asked for is for something else.
    #[error(
        "plugin {plugin}, which {by} asks for, does not serve databaseType {database_type:?}; it serves {}",
        .types.join(", ")
    )]
    DoesNotServe {
        /// `id@version (digest, file)`.
        plugin: String,
        /// Who asked.
        by: &'static str,
        /// `spec.databaseType`.
        database_type: String,
        /// What it serves.
        types: Vec<String>,
    },
}

impl NotChosen {
    /// Stable CamelCase word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "PluginConflict",
            Self::NotFound { .. } => "PluginNotFound",
            Self::DoesNotServe { .. } => "PluginTypeMismatch",
        }
    }
}

fn listed(plugins: &[String]) -> String {
    match plugins.get(..MAX_LISTED) {
        _ if plugins.is_empty() => "none".to_owned(),
        Some(first) if plugins.len() > MAX_LISTED => {
            format!("{}, and {} more", first.join(", "), plugins.len() - MAX_LISTED)
        }
        _ => plugins.join(", "),
    }
}

/// The index of the plugin, and whether it stands in for an unknown type.
///
/// `spec.plugin` is asked first, then the administrator, then the plugins themselves, last the fallback. A wish that
/// names too little is settled by the next of them, never by an order.
pub(super) fn choose(claims: &[Claim<'_>], wish: &Wish<'_>) -> Result<(usize, bool), NotChosen> {
    let asked = [(wish.pin, "spec.plugin"), (wish.preferred, "the operator's --plugin-for")];
    let mut asked = asked.into_iter().filter_map(|(pin, by)| Some((pin?, by)));
    if let Some((pin, by)) = asked.next() {
        let mut fitting = fitting(claims, |claim| fits(pin, claim));
        if let Some((second, _)) = asked.next()
            && fitting.iter().any(|(_, claim)| fits(second, claim))
        {
            fitting.retain(|(_, claim)| fits(second, claim));
        }
        return match fitting.as_slice() {
            [] => {
                let wanted = format!("{by} asks for plugin {pin}");
                Err(NotChosen::NotFound { wanted, loaded: claims.iter().map(told).collect() })
            }
            [(index, claim)] if serves(claim, wish.database_type) || claim.id == wish.fallback => {
                Ok((*index, false))
            }
            [(_, claim)] => Err(NotChosen::DoesNotServe {
                plugin: told(claim),
                by,
                database_type: wish.database_type.to_owned(),
                types: claim.types.to_vec(),
            }),
            several => Err(conflict(format!("are {pin}, as {by} says"), wish, several)),
        };
    }
    let serving = fitting(claims, |claim| serves(claim, wish.database_type));
    match serving.as_slice() {
        [] => {}
        // A plugin whose id another one has too serves nothing: nobody can say which of them was meant.
        [(index, claim)] => return only(claims, claim.id, wish).map(|()| (*index, false)),
        several => {
            let claim = format!("claim databaseType {:?}", wish.database_type);
            return Err(conflict(claim, wish, several));
        }
    }
    let standing_in = fitting(claims, |claim| claim.id == wish.fallback);
    match standing_in.as_slice() {
        [] => Err(NotChosen::NotFound {
            wanted: format!(
                "no plugin serves databaseType {:?}; what stands in for unknown types is plugin {:?}",
                wish.database_type, wish.fallback
            ),
            loaded: claims.iter().map(told).collect(),
        }),
        [(index, claim)] => only(claims, claim.id, wish).map(|()| (*index, true)),
        several => Err(conflict(format!("have the id {:?}", wish.fallback), wish, several)),
    }
}

fn fitting<'c, 'a>(
    claims: &'c [Claim<'a>],
    fits: impl Fn(&Claim<'a>) -> bool,
) -> Vec<(usize, &'c Claim<'a>)> {
    claims.iter().enumerate().filter(|(_, claim)| fits(claim)).collect()
}

fn fits(pin: &Pin, claim: &Claim<'_>) -> bool {
    let Pin { id, version, digest } = pin;
    let fits = |wanted: &Option<String>, has: &str| wanted.as_ref().is_none_or(|wanted| wanted == has);
    fits(id, claim.id) && fits(version, claim.version) && fits(digest, claim.digest)
}

fn serves(claim: &Claim<'_>, database_type: &str) -> bool {
    claim.types.iter().any(|served| served == database_type)
}

fn only(claims: &[Claim<'_>], id: &str, wish: &Wish<'_>) -> Result<(), NotChosen> {
    let same = fitting(claims, |claim| claim.id == id);
    if same.len() == 1 { Ok(()) } else { Err(conflict(format!("have the id {id:?}"), wish, &same)) }
}

fn conflict(claim: String, wish: &Wish<'_>, several: &[(usize, &Claim<'_>)]) -> NotChosen {
    let claimants = several.iter().map(|(_, claim)| told(claim)).collect();
    NotChosen::Conflict { claim, database_type: wish.database_type.to_owned(), claimants }
}

pub(super) fn told(claim: &Claim<'_>) -> String {
    format!("{}@{} ({}, {})", claim.id, claim.version, claim.digest, claim.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(text: &str) -> Pin {
        text.parse().unwrap()
    }

    #[test]
    fn a_wish_is_settled_by_what_it_names_and_never_by_an_order() {
        let types = |types: &[&str]| types.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let (redis, postgres, generic) = (types(&["redis"]), types(&["postgres", "pg"]), types(&["generic"]));
        let (mongo, mongo4) = (types(&["mongo"]), types(&["mongo4"]));
        let claim = |id, version, digest, types| Claim { id, version, digest, types, source: "f" };
        let claims = [
            claim("redis.a", "1.0.0", "sha256:1", &redis),
            claim("redis.b", "1.0.0", "sha256:2", &redis),
            claim("postgres", "1.0.0", "sha256:3", &postgres),
            claim("mongo", "1.0.0", "sha256:4", &mongo),
            claim("mongo", "1.1.0", "sha256:5", &mongo4),
            claim("generic", "1.0.0", "sha256:6", &generic),
        ];
        let expect = |wanted: &'static str| match wanted.split_once(' ') {
            Some((id, "fallback")) => Ok((claims.iter().position(|c| c.digest == id).unwrap(), true)),
            None if wanted.starts_with("sha256") => {
                Ok((claims.iter().position(|c| c.digest == wanted).unwrap(), false))
            }
            _ => Err(wanted),
        };
        // Type, spec.plugin, --plugin-for, who serves (or the reason why nobody does).
        let cases = [
            ("postgres", "", "", "sha256:3"),
            ("pg", "", "", "sha256:3"),
            ("redis", "", "", "PluginConflict"),
            ("redis", "redis.b", "", "sha256:2"),
            ("redis", "", "redis.a", "sha256:1"),
            ("redis", "redis.b", "redis.a", "sha256:2"),
            ("redis", "redis.b@1.0.0", "", "sha256:2"),
            ("redis", "redis.b@2.0.0", "", "PluginNotFound"),
            ("redis", "redis.b@sha256:2", "", "sha256:2"),
            ("redis", "redis.b@sha256:1", "", "PluginNotFound"),
            // One id in two versions: neither, whichever type; unless one is named.
            ("mongo", "", "", "PluginConflict"),
            ("mongo4", "", "", "PluginConflict"),
            ("mongo", "mongo", "", "PluginConflict"),
            ("mongo", "mongo@1.0.0", "", "sha256:4"),
            ("mongo", "mongo", "mongo@1.0.0", "sha256:4"),
            ("mongo", "", "mongo@sha256:4", "sha256:4"),
            ("mongo", "mongo", "redis.a", "PluginConflict"),
            // What was named has to serve the type; but anybody may name the fallback.
            ("redis", "postgres", "", "PluginTypeMismatch"),
            ("redis", "generic", "", "sha256:6"),
            ("redis", "", "generic", "sha256:6"),
            ("cassandra", "", "", "sha256:6 fallback"),
            ("cassandra", "cassandra", "", "PluginNotFound"),
        ];
        let given = |text: &str| (!text.is_empty()).then(|| pin(text));
        for (database_type, wanted, preferred, expected) in cases {
            let (wanted, preferred) = (given(wanted), given(preferred));
            let wish = Wish {
                database_type,
                pin: wanted.as_ref(),
                preferred: preferred.as_ref(),
                fallback: "generic",
            };
            for reversed in [false, true] {
                let mut claims = claims.to_vec();
                if reversed {
                    claims.reverse();
                }
                let chosen = choose(&claims, &wish);
                let chosen = match &chosen {
                    Ok((index, fallback)) => {
                        Ok((5 * usize::from(reversed)).abs_diff(*index)).map(|index| (index, *fallback))
                    }
                    Err(error) => Err(error.reason()),
                };
                assert_eq!(chosen, expect(expected), "{database_type} {wanted:?} {preferred:?}");
            }
        }
    }

    #[test]
    fn whoever_is_not_chosen_hears_what_there_is() {
        let claims: Vec<String> = (0..30).map(|number| format!("p{number}")).collect();
        let claims: Vec<_> = claims
            .iter()
            .map(|id| Claim { id, version: "1.0.0", digest: "sha256:0", types: &[], source: "/p.wasm" })
            .collect();
        let asked = pin("redis@2.0.0");
        let wish = Wish { database_type: "redis", pin: Some(&asked), preferred: None, fallback: "generic" };
        let text = choose(&claims, &wish).unwrap_err().to_string();
        assert!(text.starts_with(
            "spec.plugin asks for plugin redis@2.0.0, which is not loaded; loaded are p0@1.0.0 ("
        ));
        assert!(text.contains("p19@1.0.0 (sha256:0, /p.wasm), and 10 more"), "{text}");
        assert!(choose(&[], &wish).unwrap_err().to_string().ends_with("loaded are none"));
    }

    #[test]
    fn pins_are_read_as_they_are_written() {
        for text in ["redis", "redis@1.0.0", "redis@sha256:00"] {
            assert_eq!(pin(text).to_string(), text);
        }
        for wrong in ["", "@1", "redis@"] {
            assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
        }
    }
}
