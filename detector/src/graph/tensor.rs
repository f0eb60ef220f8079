//! A stored tensor: its shape, where its bytes are and how many, without reading them.

use std::io::{Read, Seek};
use std::path::{Component, Path};

use super::element::DataType;
use super::refusal::Refusal;
use super::wire::{Block, Field, Value, Wire, WireError};
use super::{MAX_NAME_BYTES, MAX_RANK};

/// Numbers of a tensor that are worth keeping: the mean or deviation of a few channels.
const MAX_KEPT_VALUES: u64 = 8;

mod fields {
    pub(super) const DIMS: u32 = 1;
    pub(super) const DATA_TYPE: u32 = 2;
    pub(super) const FLOAT_DATA: u32 = 4;
    pub(super) const INT32_DATA: u32 = 5;
    pub(super) const STRING_DATA: u32 = 6;
    pub(super) const INT64_DATA: u32 = 7;
    pub(super) const NAME: u32 = 8;
    pub(super) const RAW_DATA: u32 = 9;
    pub(super) const DOUBLE_DATA: u32 = 10;
    pub(super) const UINT64_DATA: u32 = 11;
    pub(super) const EXTERNAL_DATA: u32 = 13;
    pub(super) const DATA_LOCATION: u32 = 14;
}

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: u64 = 1;

/// A tensor as the file describes it.
#[derive(Debug, Default)]
pub(super) struct Tensor {
    pub(super) name: String,
    dims: Vec<i64>,
    type_code: u64,
    raw_bytes: Option<u64>,
    /// Numbers in the typed fields.
    typed: u64,
    is_external: bool,
    location: Option<String>,
    /// The numbers of a small float tensor.
    pub(super) values: Option<Vec<f32>>,
}

/// What is worth knowing of a tensor whose description holds together.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) data_type: DataType,
    pub(super) elements: u64,
    /// The file that it lies in, if it is not this one.
    pub(super) location: Option<String>,
}

impl Tensor {
    pub(super) fn read<R: Read + Seek>(
        wire: &mut Wire<R>,
        block: Block,
    ) -> Result<Self, WireError> {
        let mut tensor = Self::default();
        let mut message = wire.enter(block)?;
        while let Some(field) = wire.next_field(&mut message)? {
            tensor.take(wire, field)?;
        }
        Ok(tensor)
    }

    fn take<R: Read + Seek>(&mut self, wire: &mut Wire<R>, field: Field) -> Result<(), WireError> {
        match field.number {
            fields::DIMS => self.take_dims(wire, field)?,
            fields::DATA_TYPE => self.type_code = field.to_number()?,
            fields::NAME => self.name = wire.text(field.to_block()?, MAX_NAME_BYTES)?,
            fields::RAW_DATA => {
                let block = field.to_block()?;
                self.raw_bytes = Some(block.length());
                self.keep_values(wire, block)?;
            }
            fields::FLOAT_DATA => {
                self.typed += Self::fixed_numbers(field, 4)?;
                if let Value::Block(block) = field.value {
                    self.keep_values(wire, block)?;
                }
            }
            fields::DOUBLE_DATA => self.typed += Self::fixed_numbers(field, 8)?,
            fields::INT32_DATA | fields::INT64_DATA | fields::UINT64_DATA => {
                self.typed += match field.value {
                    Value::Block(block) => wire.count_varints(block)?,
                    _ => 1,
                };
            }
            fields::STRING_DATA => self.typed += 1,
            fields::EXTERNAL_DATA => self.take_entry(wire, field.to_block()?)?,
            fields::DATA_LOCATION => self.is_external = field.to_number()? == EXTERNAL,
            _ => {}
        }
        Ok(())
    }

    fn take_dims<R: Read + Seek>(
        &mut self,
        wire: &mut Wire<R>,
        field: Field,
    ) -> Result<(), WireError> {
        let lengths = match field.value {
            Value::Varint(length) => vec![length],
            Value::Block(block) => wire.varints(block, MAX_RANK)?,
            Value::Fixed32 | Value::Fixed64 => Vec::new(),
        };
        if self.dims.len() + lengths.len() > MAX_RANK {
            return Err(WireError::TooMuch {
                what: "dimensions of one tensor",
                limit: MAX_RANK as u64,
            });
        }
        self.dims.extend(lengths.into_iter().map(u64::cast_signed));
        Ok(())
    }

    /// One entry of `external_data`; only the file's name matters here.
    fn take_entry<R: Read + Seek>(
        &mut self,
        wire: &mut Wire<R>,
        block: Block,
    ) -> Result<(), WireError> {
        let (key, value) = entry(wire, block)?;
        if key == "location" {
            self.location = Some(value);
        }
        Ok(())
    }

    /// How many numbers of so many bytes a field holds.
    fn fixed_numbers(field: Field, width: u64) -> Result<u64, WireError> {
        match field.value {
            Value::Block(block) if block.length() % width == 0 => Ok(block.length() / width),
            Value::Block(block) => Err(WireError::Truncated { at: block.start }),
            _ => Ok(1),
        }
    }

    fn keep_values<R: Read + Seek>(
        &mut self,
        wire: &mut Wire<R>,
        block: Block,
    ) -> Result<(), WireError> {
        if block.length() > MAX_KEPT_VALUES * 4 || self.type_code != DataType::FLOAT32 {
            return Ok(());
        }
        let bytes = wire.bytes(block)?;
        let (numbers, _rest) = bytes.as_chunks::<4>();
        self.values = Some(
            numbers
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect(),
        );
        Ok(())
    }

    /// Checks that the tensor holds what its shape and type say.
    pub(super) fn check(&self) -> Result<Stored, Refusal> {
        let cannot_be = |problem: String| Refusal::Tensor {
            tensor: self.name.clone(),
            problem,
        };
        let Some(data_type) = DataType::of(self.type_code) else {
            return Err(cannot_be(format!("{} is no element type", self.type_code)));
        };
        let no_memory = || cannot_be(format!("no memory holds {:?}", self.dims));
        let mut elements = 1_u64;
        for &length in &self.dims {
            let length = u64::try_from(length)
                .map_err(|_negative| cannot_be(format!("a dimension of {length}")))?;
            elements = elements.checked_mul(length).ok_or_else(no_memory)?;
        }
        let raw_bytes = data_type.raw_bytes(elements).ok_or_else(no_memory)?;
        let numbers = data_type.typed_numbers(elements).ok_or_else(no_memory)?;
        if self.is_external {
            return self.check_location(data_type, elements);
        }
        let (found, expected, unit) = match self.raw_bytes {
            Some(found) if data_type.code != DataType::STRING => (found, raw_bytes, "bytes"),
            Some(_) => return Err(cannot_be("texts as raw bytes".to_owned())),
            None => (self.typed, numbers, "numbers"),
        };
        if found != expected {
            return Err(Refusal::Weights {
                tensor: self.name.clone(),
                shape: self.dims.clone(),
                element: data_type.name.to_owned(),
                expected: format!("{expected} {unit}"),
                found: format!("{found}"),
            });
        }
        Ok(Stored {
            data_type,
            elements,
            location: None,
        })
    }

    fn check_location(&self, data_type: DataType, elements: u64) -> Result<Stored, Refusal> {
        let location = self
            .location
            .clone()
            .unwrap_or_else(|| "a file that it does not name".to_owned());
        let stays = |component: Component<'_>| {
            matches!(component, Component::Normal(_) | Component::CurDir)
        };
        let is_inside = Path::new(&location).components().all(stays);
        if !is_inside || location.contains(['\\', '\0']) {
            return Err(Refusal::Escapes {
                tensor: self.name.clone(),
                location,
            });
        }
        Ok(Stored {
            data_type,
            elements,
            location: Some(location),
        })
    }
}

/// A `StringStringEntryProto`.
pub(super) fn entry<R: Read + Seek>(
    wire: &mut Wire<R>,
    block: Block,
) -> Result<(String, String), WireError> {
    let (mut key, mut value) = (String::new(), String::new());
    let mut message = wire.enter(block)?;
    while let Some(field) = wire.next_field(&mut message)? {
        match field.number {
            1 => key = wire.text(field.to_block()?, MAX_NAME_BYTES)?,
            2 => value = wire.text(field.to_block()?, super::MAX_METADATA_BYTES)?,
            _ => {}
        }
    }
    Ok((key, value))
}
