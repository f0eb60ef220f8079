//! Which version of a model serves whom: current, canary, shadow and aliases, and how it was before.
//!
//! It stands in `rollout.toml` beside `model.toml`, so that every detector and every restart agree.
//! Without that file a model follows its newest version. Nothing here touches the disk.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::listed;
use crate::frame::SourceId;

/// Names that always stand for something and cannot be given to a version.
pub const STABLE: &str = "stable";
/// The version on trial; the current one while none is.
pub const CANARY: &str = "canary";
/// The highest version that is offered.
pub const LATEST: &str = "latest";

/// So many changes can be taken back.
const MAX_HISTORY: usize = 20;
/// Aliases that a model may have, and sources that a canary may name.
const MAX_NAMES: usize = 256;

/// The content of `rollout.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// How it is.
    #[serde(default)]
    pub now: Plan,
    /// How it was, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Step>,
}

/// Which version serves whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version for whoever names none; the newest without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u32>,
    /// A version on trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// A version that runs beside and is only compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// Names for versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, u32>,
}

/// A version that serves some of the sources that name no version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The version.
    pub version: u32,
    /// The share of all sources, 0 to 100; a source that is in a share is in every larger one.
    #[serde(default)]
    pub percent: u8,
    /// Sources that get it whatever the share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceId>,
}

/// A version that runs on the frames of the current one; its answers are compared, not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// The version.
    pub version: u32,
    /// The share of sources whose frames it sees, 1 to 100.
    #[serde(default = "everybody")]
    pub percent: u8,
}

fn everybody() -> u8 {
    100
}

/// A plan that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When it ended.
    pub until: Timestamp,
    /// What ended it.
    pub ended_by: String,
    /// What it was.
    #[serde(default)]
    pub plan: Plan,
}

/// A wish to change a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// This version for everybody who names none; a canary of it has been promoted and is over.
    Serve(u32),
    /// The newest version for everybody, also those to come.
    Newest,
    /// Try a version on some sources.
    Canary(Canary),
    /// End the trial; its sources get the current version.
    EndCanary,
    /// Compare a version.
    Shadow(Shadow),
    /// End the comparison.
    EndShadow,
    /// Give a version a name, or another one to the name.
    Alias {
        /// The name.
        name: String,
        /// The version.
        version: u32,
    },
    /// Forget a name.
    EndAlias(String),
}

/// Why a plan cannot be followed or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The version is not there, or not offered.
    #[error("there is no version {version}; there is {}", listed(.offered))]
    UnknownVersion {
        /// The wanted version.
        version: u32,
        /// What there is.
        offered: Vec<u32>,
    },
    /// The share is none.
    #[error("a share of {0} % is not possible; write 1 to 100")]
    Share(u8),
    /// A canary for nobody.
    #[error("a canary needs a share of the sources or the names of some")]
    Nobody,
    /// A canary that is the current version.
    #[error("version {0} is the current one already, and cannot be on trial beside itself")]
    TriedAgainstItself(u32),
    /// The name cannot be given.
    #[error(
        "{0:?} cannot be an alias; use up to 64 letters, digits, '.', '_' and '-', not digits alone, and none of stable, canary and latest, which stand for something already"
    )]
    AliasName(String),
    /// Too many aliases or sources.
    #[error("more than {MAX_NAMES} names are not possible")]
    TooMany,
    /// Nothing to end.
    #[error("there is no {0} to end")]
    NothingToEnd(String),
    /// Nothing to take back.
    #[error("nothing was changed yet, so nothing can be taken back")]
    NothingBefore,
}

impl Plan {
    /// The version for whoever names none, of those offered, which are ascending.
    pub fn current_of(&self, offered: &[u32]) -> Option<u32> {
        self.current.or_else(|| offered.last().copied())
    }

    /// Whether the values make sense by themselves; whether the versions are there is asked later.
    pub fn check(&self) -> Result<(), PlanError> {
        if let Some(canary) = &self.canary {
            canary.check()?;
        }
        if let Some(Shadow { percent, .. }) = self.shadow
            && !(1..=100).contains(&percent)
        {
            return Err(PlanError::Share(percent));
        }
        if self.aliases.len() > MAX_NAMES {
            return Err(PlanError::TooMany);
        }
        match self.aliases.keys().find(|name| !is_alias(name)) {
            Some(name) => Err(PlanError::AliasName(name.clone())),
            None => Ok(()),
        }
    }

    fn changed(&self, change: &Change, offered: &[u32]) -> Result<Self, PlanError> {
        let mut plan = self.clone();
        match change {
            Change::Serve(version) => {
                plan.current = Some(of_offered(*version, offered)?);
                plan.canary = plan.canary.filter(|canary| canary.version != *version);
                plan.shadow = plan.shadow.filter(|shadow| shadow.version != *version);
            }
            Change::Newest => plan.current = None,
            Change::Canary(canary) => plan.try_out(canary, offered)?,
            Change::Shadow(shadow) => {
                of_offered(shadow.version, offered)?;
                plan.shadow = Some(*shadow);
            }
            Change::EndCanary => drop(plan.canary.take().ok_or_else(|| nothing(CANARY))?),
            Change::EndShadow => {
                plan.shadow.take().ok_or_else(|| nothing("shadow"))?;
            }
            Change::Alias { name, version } => {
                let version = of_offered(*version, offered)?;
                plan.aliases.insert(name.clone(), version);
            }
            Change::EndAlias(name) => {
                plan.aliases.remove(name).ok_or_else(|| nothing(name))?;
            }
        }
        plan.check()?;
        Ok(plan)
    }

    /// Beside a version on trial the current one must stand still, or a new folder would end the
    /// comparison.
    fn try_out(&mut self, canary: &Canary, offered: &[u32]) -> Result<(), PlanError> {
        let version = of_offered(canary.version, offered)?;
        let mut others = offered.iter().copied().filter(|&other| other != version);
        let current = self.current.or_else(|| others.next_back());
        if current.is_none_or(|current| current == version) {
            return Err(PlanError::TriedAgainstItself(version));
        }
        self.current = current;
        self.canary = Some(canary.clone());
        Ok(())
    }
}

impl Canary {
    /// Whether frames of this source go to it.
    pub fn takes(&self, model: &str, source: &SourceId) -> bool {
        self.sources.contains(source) || is_in_share(model, source, self.percent)
    }

    fn check(&self) -> Result<(), PlanError> {
        if self.percent > 100 {
            return Err(PlanError::Share(self.percent));
        }
        if self.sources.len() > MAX_NAMES {
            return Err(PlanError::TooMany);
        }
        if self.percent == 0 && self.sources.is_empty() {
            return Err(PlanError::Nobody);
        }
        Ok(())
    }
}

impl Shadow {
    /// Whether it sees the frames of this source.
    pub fn sees(&self, model: &str, source: &SourceId) -> bool {
        is_in_share(model, source, self.percent)
    }
}

impl Rollout {
    /// The rollout after a change; the plan it ends can be had back.
    pub fn changed(
        &self,
        change: &Change,
        offered: &[u32],
        now: Timestamp,
    ) -> Result<Self, PlanError> {
        let plan = self.now.changed(change, offered)?;
        let mut before = self.before.clone();
        if before.len() >= MAX_HISTORY {
            before.remove(0);
        }
        before.push(Step {
            until: now,
            ended_by: change.to_string(),
            plan: self.now.clone(),
        });
        Ok(Self { now: plan, before })
    }

    /// The rollout as it was before the last change.
    pub fn back(&self) -> Result<Self, PlanError> {
        let mut before = self.before.clone();
        let last = before.pop().ok_or(PlanError::NothingBefore)?;
        Ok(Self {
            now: last.plan,
            before,
        })
    }

    /// The versions that may serve whoever names none, the wanted one first. The others stand in
    /// for one that cannot be loaded: what served before it, or what is next newest.
    pub fn candidates(&self, offered: &[u32]) -> Vec<u32> {
        let Some(wanted) = self.now.current else {
            return offered.iter().rev().copied().collect();
        };
        let mut candidates = vec![wanted];
        let earlier = self.before.iter().rev();
        for version in earlier.filter_map(|step| step.plan.current_of(offered)) {
            if version != wanted && offered.contains(&version) {
                candidates.push(version);
                break;
            }
        }
        candidates
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Serve(version) => write!(f, "serve version {version}"),
            Self::Newest => f.write_str("serve the newest version"),
            Self::Canary(Canary {
                version,
                percent,
                sources,
            }) => {
                write!(f, "try version {version} on {percent} % of the sources")?;
                if sources.is_empty() {
                    return Ok(());
                }
                write!(f, " and on {}", listed(sources))
            }
            Self::EndCanary => f.write_str("end the canary"),
            Self::Shadow(Shadow { version, percent }) => {
                write!(f, "compare version {version} on {percent} % of the sources")
            }
            Self::EndShadow => f.write_str("end the shadow"),
            Self::Alias { name, version } => write!(f, "call version {version} {name}"),
            Self::EndAlias(name) => write!(f, "forget the alias {name}"),
        }
    }
}

fn nothing(name: &str) -> PlanError {
    PlanError::NothingToEnd(name.to_owned())
}

fn of_offered(version: u32, offered: &[u32]) -> Result<u32, PlanError> {
    if offered.contains(&version) {
        return Ok(version);
    }
    Err(PlanError::UnknownVersion {
        version,
        offered: offered.to_vec(),
    })
}

/// An alias can stand behind the `@` of a model reference and means nothing else there.
fn is_alias(name: &str) -> bool {
    use crate::frame::ModelSelector;
    matches!(name.parse(), Ok(ModelSelector::Alias(_))) && ![STABLE, CANARY, LATEST].contains(&name)
}

/// Whether a source belongs to a share. By a hash of the source and the model, so that all
/// detectors agree, a larger share holds a smaller one, and not every model is tried on the same
/// sources.
fn is_in_share(model: &str, source: &SourceId, percent: u8) -> bool {
    // FNV-1a, and a last mixing as its low bits are the weak ones.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in model.bytes().chain([0]).chain(source.as_str().bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^= hash >> 32;
    hash % 100 < u64::from(percent)
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
