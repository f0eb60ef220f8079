//! How the annotated picture is drawn: what a model says, and what a request wishes otherwise.
//!
//! One notation everywhere, in `model.toml`, in the header `kadr_draw`, behind `?draw=` and on the
//! command line: words with commas between them, such as `no-labels,opacity:30,rest:grey`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What somebody wishes; what is left open is decided by others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DrawWishes {
    /// Masks with their outlines.
    pub masks: Option<bool>,
    /// Boxes around the things.
    pub boxes: Option<bool>,
    /// What the things are called.
    pub labels: Option<bool>,
    /// How certain the model is.
    pub scores: Option<bool>,
    /// How much of a mask's colour covers the picture, 0 to 100.
    pub opacity_percent: Option<u8>,
    /// What has a colour of its own.
    pub colors: Option<ColorBy>,
    /// What becomes of the picture where nothing was found.
    pub rest: Option<Rest>,
}

/// What has a colour of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColorBy {
    /// Each class, always the same one.
    Class,
    /// Each thing in the picture, so that neighbours of one class can be told apart.
    Instance,
}

/// What becomes of the picture where nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rest {
    /// It stays as it is.
    Keep,
    /// It loses its colours.
    Grey,
}

/// Everything decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four switches that have nothing to do with each other"
)]
pub struct Drawing {
    /// Whether masks with their outlines are drawn; a thing without a mask gets its box.
    pub masks: bool,
    /// Whether every thing gets a box.
    pub boxes: bool,
    /// Whether things are called by name.
    pub labels: bool,
    /// Whether the label says how certain the model is.
    pub scores: bool,
    /// How much of a mask's colour covers the picture, 0 to 100.
    pub opacity_percent: u8,
    /// What has a colour of its own.
    pub colors: ColorBy,
    /// What becomes of the picture where nothing was found.
    pub rest: Rest,
}

impl Default for Drawing {
    /// The look of Detectron2.
    fn default() -> Self {
        Self {
            masks: true,
            boxes: false,
            labels: true,
            scores: true,
            opacity_percent: 50,
            colors: ColorBy::Class,
            rest: Rest::Keep,
        }
    }
}

impl Drawing {
    /// This drawing where the wishes leave it open.
    #[must_use]
    pub fn with(self, wishes: &DrawWishes) -> Self {
        Self {
            masks: wishes.masks.unwrap_or(self.masks),
            boxes: wishes.boxes.unwrap_or(self.boxes),
            labels: wishes.labels.unwrap_or(self.labels),
            scores: wishes.scores.unwrap_or(self.scores),
            opacity_percent: wishes.opacity_percent.unwrap_or(self.opacity_percent),
            colors: wishes.colors.unwrap_or(self.colors),
            rest: wishes.rest.unwrap_or(self.rest),
        }
    }
}

/// Why a text says nothing about drawing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// A word that means nothing.
    #[error(
        "{0:?} says nothing about drawing; the words are masks, boxes, labels and scores, each also \
         with no- before it, opacity:0 to opacity:100, color:class, color:instance, rest:keep and \
         rest:grey"
    )]
    UnknownWord(String),
    /// Two words about the same thing.
    #[error("{0:?} says a second time what was said before")]
    SaidTwice(String),
}

impl FromStr for DrawWishes {
    type Err = DrawError;

    fn from_str(text: &str) -> Result<Self, DrawError> {
        let mut wishes = Self::default();
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            if !wishes.take(word)? {
                return Err(DrawError::SaidTwice(word.to_owned()));
            }
        }
        Ok(wishes)
    }
}

impl DrawWishes {
    /// Whether nothing is wished.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes one word; whether it is the first about its matter.
    fn take(&mut self, word: &str) -> Result<bool, DrawError> {
        let unknown = || DrawError::UnknownWord(word.chars().take(40).collect());
        if let Some((matter, value)) = word.split_once(':') {
            return match (matter, value) {
                ("opacity", percent) => {
                    let percent = percent.parse().ok().filter(|percent| *percent <= 100);
                    Ok(is_first(
                        &mut self.opacity_percent,
                        percent.ok_or_else(unknown)?,
                    ))
                }
                ("color", "class") => Ok(is_first(&mut self.colors, ColorBy::Class)),
                ("color", "instance") => Ok(is_first(&mut self.colors, ColorBy::Instance)),
                ("rest", "keep") => Ok(is_first(&mut self.rest, Rest::Keep)),
                ("rest", "grey") => Ok(is_first(&mut self.rest, Rest::Grey)),
                _ => Err(unknown()),
            };
        }
        let (is_wanted, matter) = match word.strip_prefix("no-") {
            Some(matter) => (false, matter),
            None => (true, word),
        };
        let wish = match matter {
            "masks" => &mut self.masks,
            "boxes" => &mut self.boxes,
            "labels" => &mut self.labels,
            "scores" => &mut self.scores,
            _ => return Err(unknown()),
        };
        Ok(is_first(wish, is_wanted))
    }
}

fn is_first<T>(wish: &mut Option<T>, value: T) -> bool {
    wish.replace(value).is_none()
}

impl fmt::Display for DrawWishes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switches = [
            ("masks", self.masks),
            ("boxes", self.boxes),
            ("labels", self.labels),
            ("scores", self.scores),
        ];
        let switches = switches.into_iter().filter_map(|(matter, wish)| {
            wish.map(|is_wanted| format!("{}{matter}", if is_wanted { "" } else { "no-" }))
        });
        let opacity = self
            .opacity_percent
            .map(|percent| format!("opacity:{percent}"));
        let colors = self.colors.map(|colors| match colors {
            ColorBy::Class => "color:class".to_owned(),
            ColorBy::Instance => "color:instance".to_owned(),
        });
        let rest = self.rest.map(|rest| match rest {
            Rest::Keep => "rest:keep".to_owned(),
            Rest::Grey => "rest:grey".to_owned(),
        });
        let words: Vec<String> = switches.chain(opacity).chain(colors).chain(rest).collect();
        formatter.write_str(&words.join(","))
    }
}

impl TryFrom<String> for DrawWishes {
    type Error = DrawError;

    fn try_from(text: String) -> Result<Self, DrawError> {
        text.parse()
    }
}

impl From<DrawWishes> for String {
    fn from(wishes: DrawWishes) -> Self {
        wishes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_written_as_they_are_read() {
        for text in [
            "",
            "no-masks,boxes",
            "masks,no-boxes,no-labels,scores,opacity:0,color:instance,rest:grey",
            "opacity:100,color:class,rest:keep",
        ] {
            assert_eq!(text.parse::<DrawWishes>().unwrap().to_string(), text);
        }
        let spaced: DrawWishes = " rest:grey , no-scores,".parse().unwrap();
        assert_eq!(spaced.to_string(), "no-scores,rest:grey");
        assert!("".parse::<DrawWishes>().unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for text in [
            "mask",
            "no-opacity:3",
            "opacity:101",
            "opacity:",
            "color:red",
            "rest:blur",
        ] {
            let error = text.parse::<DrawWishes>().unwrap_err();
            assert_eq!(error, DrawError::UnknownWord(text.to_owned()));
            assert!(error.to_string().contains("opacity:0 to opacity:100"));
        }
        let twice = "boxes,no-boxes".parse::<DrawWishes>();
        assert_eq!(twice, Err(DrawError::SaidTwice("no-boxes".to_owned())));
    }

    #[test]
    fn a_request_overrules_the_model_and_leaves_the_rest_to_it() {
        let model = "opacity:30,no-scores".parse().unwrap();
        let request = "scores,rest:grey".parse().unwrap();
        let drawing = Drawing::default().with(&model).with(&request);
        let expected = Drawing {
            opacity_percent: 30,
            rest: Rest::Grey,
            ..Drawing::default()
        };
        assert_eq!(drawing, expected);
    }
}
