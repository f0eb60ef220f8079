//! Which cameras there are: from flags and environment to checked ids and addresses.

use std::{collections::BTreeSet, path::Path};

use clap::Args;
use pipeline::frame::{SourceId, SourceIdError};
use serde::Serialize;

use crate::address::{Address, AddressError};

/// More belong into several processes.
pub const MAX_CAMERAS: usize = 64;

/// One camera: its name on the topics and where its pictures come from.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraConfig {
    /// The source id, which is the key on the topics.
    pub id: SourceId,
    /// Where its pictures come from.
    pub address: Address,
}

/// All cameras of a process; ids are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CamerasConfig {
    /// In the order in which they were named.
    pub cameras: Vec<CameraConfig>,
}

/// The flags that name cameras.
#[derive(Args, Clone, Debug, Default, Serialize)]
#[command(next_help_heading = "Cameras")]
pub struct CameraArgs {
    /// As they were written.
    #[arg(
        long = "source",
        env = "KADR_SOURCES",
        value_name = "[ID=]URL",
        value_delimiter = ',',
        help = "Where a camera's pictures come from: belt://?seed=1&fps=15&size=640x480, \
                file:///clip.mp4 or dir:///photos?fps=1, with a name of your own before it or \
                one that is made; may be given several times"
    )]
    pub sources: Vec<String>,
}

/// Why the cameras cannot be used as they are named.
#[derive(Debug, thiserror::Error)]
pub enum CamerasError {
    /// A wrong URL.
    #[error("--source {source_text}")]
    Address {
        /// As it was written.
        source_text: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// A wrong id.
    #[error("--source {source_text}: write ID=URL, such as line-3=belt://?seed=3")]
    Id {
        /// As it was written.
        source_text: String,
        /// What is wrong with it.
        source: SourceIdError,
    },
    /// Two cameras of one name.
    #[error("two cameras are named {0}; give one of them another ID in --source ID=URL")]
    Twice(SourceId),
    /// Beyond all bounds.
    #[error("{0} cameras are too many for one process, which takes {MAX_CAMERAS}; start several")]
    TooMany(usize),
}

impl CameraArgs {
    /// The cameras named; none where there is no `--source`.
    pub fn config(&self) -> Result<CamerasConfig, CamerasError> {
        let count = self.sources.len();
        if count > MAX_CAMERAS {
            return Err(CamerasError::TooMany(count));
        }
        let mut named = Vec::with_capacity(count);
        for text in &self.sources {
            named.push(parse_source(text.trim())?);
        }
        let mut taken = BTreeSet::new();
        for id in named.iter().filter_map(|(id, _)| id.as_ref()) {
            if !taken.insert(id.clone()) {
                return Err(CamerasError::Twice(id.clone()));
            }
        }
        let with_id = |(id, address): (Option<SourceId>, Address)| {
            let id = id.unwrap_or_else(|| made_id(&address, &mut taken));
            CameraConfig { id, address }
        };
        let cameras = named.into_iter().map(with_id).collect();
        Ok(CamerasConfig { cameras })
    }
}

/// `ID=URL` or `URL`; a URL may hold `=` too, but only behind its `://`.
fn parse_source(text: &str) -> Result<(Option<SourceId>, Address), CamerasError> {
    let source_text = || text.to_owned();
    let (id, url) = match text.split_once('=') {
        Some((id, url)) if !id.contains("://") => (Some(id), url),
        _ => (None, text),
    };
    let address = url.parse().map_err(|source| CamerasError::Address {
        source_text: source_text(),
        source,
    })?;
    let id = id.map(SourceId::new).transpose();
    let id = id.map_err(|source| CamerasError::Id {
        source_text: source_text(),
        source,
    })?;
    Ok((id, address))
}

/// `belt-1`, or what the file or folder is called; with a number where that name is taken.
fn made_id(address: &Address, taken: &mut BTreeSet<SourceId>) -> SourceId {
    let (stem, first) = match address {
        Address::Belt(_) => ("belt".to_owned(), 1),
        Address::Clip(clip) => (plain_name(clip.path.file_stem().map(Path::new), "clip"), 0),
        Address::Folder(folder) => {
            let name = folder.path.file_name().map(Path::new);
            (plain_name(name, "photos"), 0)
        }
    };
    let numbered = |number| match number {
        0 => stem.clone(),
        number => format!("{stem}-{number}"),
    };
    // After a bare name comes name-2.
    let mut numbers = (first..).filter(|&number| first == 1 || number != 1);
    numbers
        .find_map(|number| {
            let id = SourceId::new(numbered(number)).expect("plain characters, short enough");
            taken.insert(id.clone()).then_some(id)
        })
        .expect("numbers go on for longer than cameras")
}

/// A name cut down to what a source id may hold.
fn plain_name(name: Option<&Path>, otherwise: &str) -> String {
    const LONGEST: usize = 64;
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_.-".contains(*c);
    let name = name.map(|name| name.to_string_lossy()).unwrap_or_default();
    let plain: String = name
        .chars()
        .map(|c| if is_plain(&c) { c } else { '-' })
        .take(LONGEST)
        .collect();
    let plain = plain.trim_matches(['-', '.']);
    if plain.is_empty() {
        otherwise.to_owned()
    } else {
        plain.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sources: &[&str]) -> Result<CamerasConfig, CamerasError> {
        let sources = sources.iter().map(|&source| source.to_owned()).collect();
        CameraArgs { sources }.config()
    }

    fn ids(sources: &[&str]) -> Vec<String> {
        let cameras = config(sources).unwrap().cameras;
        cameras.into_iter().map(|camera| camera.id.into()).collect()
    }

    #[test]
    fn an_id_stands_before_the_url_or_is_made() {
        assert_eq!(ids(&["line-3=belt://?seed=3&fps=5"]), ["line-3"]);
        assert_eq!(ids(&["belt://?seed=3", "belt://"]), ["belt-1", "belt-2"]);
        assert_eq!(
            ids(&[
                "file:///clips/Hall%202.mp4",
                "dir:///photos/",
                "dir:///%C3%BC"
            ]),
            ["Hall-2", "photos", "photos-2"]
        );
        assert!(ids(&[]).is_empty());
    }

    #[test]
    fn made_ids_leave_those_that_were_chosen_alone() {
        assert_eq!(
            ids(&[
                "belt://",
                "belt-1=belt://?seed=2",
                "file:///a.mp4",
                "file:///b/a.avi"
            ]),
            ["belt-2", "belt-1", "a", "a-2"]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_write() {
        for (sources, advice) in [
            (&["line 3=belt://"][..], "write ID=URL"),
            (&["=belt://"], "write ID=URL"),
            (
                &["a=belt://", "a=belt://?seed=2"],
                "two cameras are named a",
            ),
            (&["a=rtsp://host/1"], "known: belt, file and dir"),
            (&["clip.mp4"], "write something like belt://"),
            (&["belt://"; MAX_CAMERAS + 1], "start several"),
        ] {
            let error = config(sources).unwrap_err();
            let text = pipeline::service::shutdown::describe(&error);
            assert!(text.contains(advice), "{text}");
        }
    }
}
