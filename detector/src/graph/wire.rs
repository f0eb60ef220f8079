//! Protobuf's wire format, field by field, straight from the file.
//!
//! The libraries for it want the whole message in memory, and nearly all of a model is weights that
//! nobody here looks at: what is not asked for is passed over in the file, so that a file of two
//! gigabytes costs what its structure costs. Nothing in the file is believed before it is checked.

use std::io::{BufRead, BufReader, Read, Seek};

/// Messages in messages; ONNX nests subgraphs in attributes of nodes, and people nest few of them.
const MAX_DEPTH: usize = 64;

/// Fields looked at in one file; each costs a few nanoseconds, however small it is.
const MAX_FIELDS: u64 = 16_000_000;

/// Bytes of names and texts kept of one file.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// How many of them: each takes memory, however short it is.
const MAX_TEXTS: u64 = 2_000_000;

/// Longest varint: 64 bits in sevens.
const MAX_VARINT_BYTES: usize = 10;

/// Why a file is not what it should be. Positions are bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The system cannot read it.
    #[error("cannot read it: {0}")]
    Io(String),
    /// Something ends after what it lies in.
    #[error("it is cut short or damaged at byte {at}: what begins there does not fit")]
    Truncated {
        /// Where the thing that does not fit begins.
        at: u64,
    },
    /// No field can look like that.
    #[error("it is damaged at byte {at}: {what}")]
    Malformed {
        /// Where.
        at: u64,
        /// What is there.
        what: &'static str,
    },
    /// It is larger than anything sensible.
    #[error("it is absurd: more than {limit} {what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
}

impl From<std::io::Error> for WireError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) value: Value,
    /// Where it begins, for complaints.
    at: u64,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Varint(u64),
    Fixed32,
    Fixed64,
    Block(Block),
}

/// A message, a text, bytes or packed numbers: a stretch of the file that is known to be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Block {
    pub(super) fn length(self) -> u64 {
        self.end - self.start
    }
}

impl Field {
    /// The number of a field that must hold one.
    pub(super) fn to_number(self) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(number) => Ok(number),
            _ => Err(self.malformed("a number is expected")),
        }
    }

    /// The stretch of a field that must hold one.
    pub(super) fn to_block(self) -> Result<Block, WireError> {
        match self.value {
            Value::Block(block) => Ok(block),
            _ => Err(self.malformed("a message or text is expected")),
        }
    }

    fn malformed(self, what: &'static str) -> WireError {
        WireError::Malformed { at: self.at, what }
    }
}

/// A message that is being read.
#[derive(Debug)]
pub(super) struct Walk {
    /// Where its next field begins.
    next: u64,
    end: u64,
}

/// A file, read from front to back.
pub(super) struct Wire<R> {
    source: BufReader<R>,
    position: u64,
    length: u64,
    depth: usize,
    fields: u64,
    texts: u64,
    text_bytes: u64,
}

impl<R: Read + Seek> Wire<R> {
    /// `length` is what the system says of the file.
    pub(super) fn new(source: R, length: u64) -> Self {
        Self {
            source: BufReader::with_capacity(64 << 10, source),
            position: 0,
            length,
            depth: 0,
            fields: 0,
            texts: 0,
            text_bytes: 0,
        }
    }

    /// The whole file as one message.
    pub(super) fn whole(&self) -> Block {
        Block {
            start: 0,
            end: self.length,
        }
    }

    /// Begins a message; its fields come from [`next_field`](Self::next_field).
    pub(super) fn enter(&mut self, message: Block) -> Result<Walk, WireError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(WireError::TooMuch {
                what: "messages inside each other",
                limit: MAX_DEPTH as u64,
            });
        }
        Ok(Walk {
            next: message.start,
            end: message.end,
        })
    }

    /// The next field of a message, whether or not the last one's block was read; `None` ends it.
    pub(super) fn next_field(&mut self, walk: &mut Walk) -> Result<Option<Field>, WireError> {
        if walk.next >= walk.end {
            self.depth -= 1;
            return Ok(None);
        }
        self.jump(walk.next)?;
        let field = self.field(walk.end)?;
        walk.next = match field.value {
            Value::Block(block) => block.end,
            _ => self.position,
        };
        Ok(Some(field))
    }

    /// A text of at most `max_bytes`. What is no UTF-8 in it is replaced.
    pub(super) fn text(&mut self, block: Block, max_bytes: u64) -> Result<String, WireError> {
        if block.length() > max_bytes {
            return Err(WireError::TooMuch {
                what: "bytes in one name or text",
                limit: max_bytes,
            });
        }
        self.texts += 1;
        if self.texts > MAX_TEXTS {
            return Err(WireError::TooMuch {
                what: "names and texts",
                limit: MAX_TEXTS,
            });
        }
        self.text_bytes += block.length();
        if self.text_bytes > MAX_TEXT_BYTES {
            return Err(WireError::TooMuch {
                what: "bytes of names and texts",
                limit: MAX_TEXT_BYTES,
            });
        }
        let bytes = self.bytes(block)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// All bytes of a block that the caller knows to be small.
    pub(super) fn bytes(&mut self, block: Block) -> Result<Vec<u8>, WireError> {
        self.jump(block.start)?;
        let mut bytes = vec![0; block.length() as usize];
        self.source.read_exact(&mut bytes)?;
        self.position = block.end;
        Ok(bytes)
    }

    /// How many varints are packed into a block; they are not kept.
    pub(super) fn count_varints(&mut self, block: Block) -> Result<u64, WireError> {
        self.jump(block.start)?;
        let mut count = 0;
        let mut last_ends = true;
        while self.position < block.end {
            let buffered = self.source.fill_buf()?;
            if buffered.is_empty() {
                return Err(WireError::Truncated { at: block.start });
            }
            let taken = buffered
                .len()
                .min((block.end - self.position).try_into().unwrap_or(usize::MAX));
            let ends = |byte: &u8| byte & 0x80 == 0;
            count += buffered[..taken].iter().filter(|byte| ends(byte)).count() as u64;
            last_ends = buffered[..taken].last().is_none_or(ends);
            self.source.consume(taken);
            self.position += taken as u64;
        }
        if last_ends {
            return Ok(count);
        }
        Err(WireError::Truncated { at: block.start })
    }

    /// The varints of a block that holds no more than `max`.
    pub(super) fn varints(&mut self, block: Block, max: usize) -> Result<Vec<u64>, WireError> {
        self.jump(block.start)?;
        let mut numbers = Vec::new();
        while self.position < block.end {
            if numbers.len() == max {
                return Err(WireError::TooMuch {
                    what: "numbers in a list",
                    limit: max as u64,
                });
            }
            numbers.push(self.varint(block.end)?);
        }
        Ok(numbers)
    }

    fn field(&mut self, end: u64) -> Result<Field, WireError> {
        let at = self.position;
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(WireError::TooMuch {
                what: "fields",
                limit: MAX_FIELDS,
            });
        }
        let key = self.varint(end)?;
        let number = u32::try_from(key >> 3).ok().filter(|&number| {
            const LARGEST_FIELD_NUMBER: u32 = (1 << 29) - 1;
            (1..=LARGEST_FIELD_NUMBER).contains(&number)
        });
        let Some(number) = number else {
            return Err(WireError::Malformed {
                at,
                what: "no field has such a number",
            });
        };
        let value = match key & 7 {
            0 => Value::Varint(self.varint(end)?),
            1 => self.fixed(end, 8, Value::Fixed64)?,
            2 => Value::Block(self.block(end)?),
            5 => self.fixed(end, 4, Value::Fixed32)?,
            _ => {
                return Err(WireError::Malformed {
                    at,
                    what: "no field is encoded so",
                });
            }
        };
        Ok(Field { number, value, at })
    }

    fn block(&mut self, end: u64) -> Result<Block, WireError> {
        let at = self.position;
        let length = self.varint(end)?;
        let start = self.position;
        match start.checked_add(length) {
            Some(block_end) if block_end <= end => Ok(Block {
                start,
                end: block_end,
            }),
            _ => Err(WireError::Truncated { at }),
        }
    }

    /// Passes over a number of fixed width, which nobody here needs.
    fn fixed(&mut self, end: u64, width: u64, value: Value) -> Result<Value, WireError> {
        if end - self.position < width {
            return Err(WireError::Truncated { at: self.position });
        }
        self.jump(self.position + width)?;
        Ok(value)
    }

    fn varint(&mut self, end: u64) -> Result<u64, WireError> {
        let at = self.position;
        let mut number = 0;
        for index in 0..MAX_VARINT_BYTES {
            if self.position >= end {
                return Err(WireError::Truncated { at });
            }
            let mut byte = [0];
            self.source.read_exact(&mut byte)?;
            self.position += 1;
            number |= u64::from(byte[0] & 0x7f) << (7 * index);
            if byte[0] & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::Malformed {
            at,
            what: "a number has no end",
        })
    }

    fn jump(&mut self, position: u64) -> Result<(), WireError> {
        let distance = position.cast_signed() - self.position.cast_signed();
        if distance != 0 {
            self.source.seek_relative(distance)?;
            self.position = position;
        }
        Ok(())
    }
}
