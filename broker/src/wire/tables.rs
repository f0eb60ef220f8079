//! How every request taken here is laid out: its fields in order, with the versions that have them.

use kafka_protocol::messages::ApiKey;

/// One field, in the versions that have it.
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) since: i16,
    pub(super) until: i16,
}

/// What a field is.
pub(super) enum Kind {
    /// A number, a truth value or an id.
    Fixed(usize),
    Text,
    Bytes,
    /// A list of structs, each with its own tagged fields.
    Structs(&'static [Field]),
    /// A list of plain values.
    List(&'static Kind),
}

const BOOL: Field = always(Kind::Fixed(1));
const I8: Field = always(Kind::Fixed(1));
const I16: Field = always(Kind::Fixed(2));
const I32: Field = always(Kind::Fixed(4));
const I64: Field = always(Kind::Fixed(8));
const UUID: Field = always(Kind::Fixed(16));
const TEXT: Field = always(Kind::Text);
const BYTES: Field = always(Kind::Bytes);
const NUMBERS: Field = always(Kind::List(&Kind::Fixed(4)));
const TEXTS: Field = always(Kind::List(&Kind::Text));

const fn always(kind: Kind) -> Field {
    Field {
        kind,
        since: 0,
        until: i16::MAX,
    }
}

const fn structs(fields: &'static [Field]) -> Field {
    always(Kind::Structs(fields))
}

impl Field {
    const fn from(self, since: i16) -> Self {
        Self { since, ..self }
    }

    const fn to(self, until: i16) -> Self {
        Self { until, ..self }
    }
}

/// The table of a request; none for a request that is not taken.
pub(super) fn fields(api: ApiKey) -> Option<&'static [Field]> {
    TABLES
        .iter()
        .find(|(key, _)| *key == api)
        .map(|(_, fields)| *fields)
}

const TABLES: [(ApiKey, &[Field]); 26] = [
    (ApiKey::Produce, &[TEXT, I16, I32, PRODUCE_TOPICS]),
    (
        ApiKey::Fetch,
        &[
            I32,
            I32,
            I32,
            I32,
            I8,
            I32.from(7),
            I32.from(7),
            structs(&[TEXT, structs(FETCH_PARTITION)]),
            structs(&[TEXT, NUMBERS]).from(7),
            TEXT.from(11),
        ],
    ),
    (
        ApiKey::ListOffsets,
        &[
            I32,
            I8.from(2),
            structs(&[TEXT, structs(&[I32, I32.from(4), I64])]),
        ],
    ),
    (
        ApiKey::Metadata,
        &[
            structs(&[UUID.from(10), TEXT]),
            BOOL.from(4),
            BOOL.from(8).to(10),
            BOOL.from(8),
        ],
    ),
    (
        ApiKey::OffsetCommit,
        &[
            TEXT,
            I32,
            TEXT,
            TEXT.from(7),
            I64.to(4),
            structs(&[TEXT, structs(&[I32, I64, I32.from(6), TEXT])]),
        ],
    ),
    (
        ApiKey::OffsetFetch,
        &[
            TEXT.to(7),
            structs(&[TEXT, NUMBERS]).to(7),
            structs(&[TEXT, structs(&[TEXT, NUMBERS])]).from(8),
            BOOL.from(7),
        ],
    ),
    (
        ApiKey::FindCoordinator,
        &[TEXT.to(3), I8.from(1), TEXTS.from(4)],
    ),
    (
        ApiKey::JoinGroup,
        &[
            TEXT,
            I32,
            I32.from(1),
            TEXT,
            TEXT.from(5),
            TEXT,
            structs(&[TEXT, BYTES]),
        ],
    ),
    (ApiKey::Heartbeat, &[TEXT, I32, TEXT, TEXT.from(3)]),
    (
        ApiKey::LeaveGroup,
        &[
            TEXT,
            TEXT.to(2),
            structs(&[TEXT, TEXT, TEXT.from(5)]).from(3),
        ],
    ),
    (
        ApiKey::SyncGroup,
        &[
            TEXT,
            I32,
            TEXT,
            TEXT.from(3),
            TEXT.from(5),
            TEXT.from(5),
            structs(&[TEXT, BYTES]),
        ],
    ),
    (ApiKey::DescribeGroups, &[TEXTS, BOOL.from(3)]),
    (ApiKey::ListGroups, &[TEXTS.from(4)]),
    (ApiKey::ApiVersions, &[TEXT.from(3), TEXT.from(3)]),
    (
        ApiKey::CreateTopics,
        &[
            structs(&[
                TEXT,
                I32,
                I16,
                structs(&[I32, NUMBERS]),
                structs(&[TEXT, TEXT]),
            ]),
            I32,
            BOOL,
        ],
    ),
    (
        ApiKey::DeleteTopics,
        &[structs(&[TEXT, UUID]).from(6), TEXTS.to(5), I32],
    ),
    (
        ApiKey::DeleteRecords,
        &[structs(&[TEXT, structs(&[I32, I64])]), I32],
    ),
    (
        ApiKey::InitProducerId,
        &[TEXT, I32, I64.from(3), I16.from(3)],
    ),
    (
        ApiKey::OffsetForLeaderEpoch,
        &[I32.from(3), structs(&[TEXT, structs(&[I32, I32, I32])])],
    ),
    (
        ApiKey::DescribeConfigs,
        &[structs(&[I8, TEXT, TEXTS]), BOOL, BOOL.from(3)],
    ),
    (
        ApiKey::AlterConfigs,
        &[structs(&[I8, TEXT, structs(&[TEXT, TEXT])]), BOOL],
    ),
    (
        ApiKey::IncrementalAlterConfigs,
        &[structs(&[I8, TEXT, structs(&[TEXT, I8, TEXT])]), BOOL],
    ),
    (
        ApiKey::CreatePartitions,
        &[structs(&[TEXT, I32, structs(&[NUMBERS])]), I32, BOOL],
    ),
    (ApiKey::DeleteGroups, &[TEXTS]),
    (
        ApiKey::OffsetDelete,
        &[TEXT, structs(&[TEXT, structs(&[I32])])],
    ),
    (ApiKey::DescribeCluster, &[BOOL, I8.from(1)]),
];

const PRODUCE_TOPICS: Field = structs(&[TEXT, structs(&[I32, BYTES])]);

const FETCH_PARTITION: &[Field] = &[I32, I32.from(9), I64, I32.from(12), I64.from(5), I32];
