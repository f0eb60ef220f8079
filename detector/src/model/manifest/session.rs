//! `[session]` of `model.toml`: how a model wishes to be run.

/// How a model is to be run; what is not said is left to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionWishes {
    /// Copies of the model that run side by side.
    pub sessions: Option<usize>,
    /// Threads inside an operator.
    pub threads: Option<usize>,
    /// Operators that run at the same time, in each session.
    pub inter_threads: Option<usize>,
    /// Whether idle threads burn a core to wake up faster.
    pub spinning: Option<bool>,
    /// Whether freed memory is kept for the next run.
    pub arena: Option<bool>,
    /// Memory that the model may take, over all its sessions.
    pub memory_bytes: Option<u64>,
}

impl SessionWishes {
    /// These, and where they say nothing, the others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            sessions: self.sessions.or(others.sessions),
            threads: self.threads.or(others.threads),
            inter_threads: self.inter_threads.or(others.inter_threads),
            spinning: self.spinning.or(others.spinning),
            arena: self.arena.or(others.arena),
            memory_bytes: self.memory_bytes.or(others.memory_bytes),
        }
    }
}
