//! From what a frame asks for to the version that serves it. Only versions that are ready are here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pipeline::catalogue::rollout::{CANARY, Canary, STABLE};
use pipeline::frame::{ModelRef, ModelSelector, SourceId};

/// The routes of all models that are in use. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes(Arc<Mutex<HashMap<String, Route>>>);

/// How the names of one model's versions are understood now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The version for whoever names none.
    pub(crate) current: u32,
    /// The version on trial, once it is ready.
    pub(crate) canary: Option<Canary>,
    pub(crate) aliases: BTreeMap<String, u32>,
}

impl Routes {
    /// The version that serves this frame, or what was asked for where the model is not in use yet:
    /// then whoever loads it decides.
    pub(crate) fn of(&self, wanted: &ModelRef, source: &SourceId) -> ModelRef {
        let routes = self.lock();
        let version = routes
            .get(wanted.name())
            .and_then(|route| route.of(wanted, source));
        version.map_or_else(|| wanted.clone(), |version| wanted.at(version))
    }

    pub(crate) fn get(&self, model: &str) -> Option<Route> {
        self.lock().get(model).cloned()
    }

    pub(crate) fn set(&self, model: &str, route: Route) {
        self.lock().insert(model.to_owned(), route);
    }

    /// Drops the routes of models that are not in use any more.
    pub(crate) fn retain(&self, is_in_use: impl Fn(&str) -> bool) {
        self.lock().retain(|model, _| is_in_use(model));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Route>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route {
    fn of(&self, wanted: &ModelRef, source: &SourceId) -> Option<u32> {
        match (wanted.selector(), &self.canary) {
            (ModelSelector::Version(_), _) => None,
            (ModelSelector::Default, Some(canary)) if canary.takes(wanted.name(), source) => {
                Some(canary.version)
            }
            (ModelSelector::Default, _) => Some(self.current),
            (ModelSelector::Alias(alias), canary) => match (alias.as_str(), canary) {
                (CANARY, Some(canary)) => Some(canary.version),
                (CANARY, None) | (STABLE, _) => Some(self.current),
                (alias, _) => self.aliases.get(alias).copied(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(canary: Option<Canary>) -> Routes {
        let routes = Routes::default();
        let route = Route {
            current: 2,
            canary,
            aliases: BTreeMap::from([("night".to_owned(), 1)]),
        };
        routes.set("parts", route);
        routes
    }

    fn served(routes: &Routes, wanted: &str, source: &str) -> String {
        let source = SourceId::new(source).unwrap();
        routes.of(&wanted.parse().unwrap(), &source).to_string()
    }

    #[test]
    fn each_name_leads_to_its_version() {
        let canary = Canary {
            version: 3,
            percent: 0,
            sources: vec![SourceId::new("line-3").unwrap()],
        };
        let routes = routes(Some(canary));
        for (wanted, source, version) in [
            ("parts", "line-1", "parts@2"),
            ("parts", "line-3", "parts@3"),
            ("parts@stable", "line-3", "parts@2"),
            ("parts@canary", "line-1", "parts@3"),
            ("parts@night", "line-3", "parts@1"),
            ("parts@7", "line-3", "parts@7"),
            ("parts@noon", "line-1", "parts@noon"),
            ("other", "line-1", "other"),
        ] {
            assert_eq!(served(&routes, wanted, source), version, "{wanted}");
        }
    }

    #[test]
    fn without_a_canary_its_name_means_the_current_version() {
        let routes = routes(None);
        assert_eq!(served(&routes, "parts@canary", "a"), "parts@2");
        routes.retain(|_| false);
        assert_eq!(served(&routes, "parts@canary", "a"), "parts@canary");
    }
}
