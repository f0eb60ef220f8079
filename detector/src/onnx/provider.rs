//! The device a graph runs on, and how it uses it.

use std::fmt;
use std::str::FromStr;

use ort::ep::{self, ExecutionProviderDispatch};

use super::Runtime;
use super::session::SessionError;

/// The device that runs a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA card, by its number. Not to be had is an error, never a silent fall back to the
    /// processor; single operators that CUDA lacks still run on the processor.
    Cuda {
        /// The card, from zero.
        device: i32,
    },
}

impl fmt::Display for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda { device } => write!(formatter, "cuda:{device}"),
        }
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda { device: 0 }),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|device| device.parse().ok())
                .filter(|&device: &i32| device >= 0)
                .map(|device| Self::Cuda { device })
                .ok_or_else(|| format!("{text:?} is not a provider; write cpu, cuda or cuda:1")),
        }
    }
}

/// How a session runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// The device.
    pub provider: Provider,
    /// Threads inside an operator; zero means one for each core.
    pub threads: usize,
    /// Operators that run at the same time; up to one means one after the other.
    pub inter_threads: usize,
    /// The most memory of a card that a session's arena may hold.
    pub card_memory_bytes: Option<u64>,
    /// Whether idle threads burn a core to wake up faster: only for cores shared with nobody.
    pub spinning: bool,
    /// Whether freed memory is kept for the next run: faster, but it never shrinks, and frames of
    /// many sizes let it grow.
    pub arena: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            provider: Provider::Cpu,
            threads: 0,
            inter_threads: 1,
            card_memory_bytes: None,
            spinning: false,
            arena: false,
        }
    }
}

pub(super) fn execution_providers(options: &SessionOptions) -> Vec<ExecutionProviderDispatch> {
    let cpu = ep::CPU::default()
        .with_arena_allocator(options.arena)
        .build();
    match options.provider {
        Provider::Cpu => vec![cpu.error_on_failure()],
        Provider::Cuda { device } => {
            let mut cuda = ep::CUDA::default()
                .with_device_id(device)
                // The exhaustive search would run again for every new frame size.
                .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic);
            let limit = options.card_memory_bytes.map(usize::try_from);
            if let Some(Ok(bytes)) = limit {
                // Doubling would pass the limit long before the memory is needed.
                cuda = cuda
                    .with_memory_limit(bytes)
                    .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested);
            }
            let cuda = cuda.build();
            vec![cuda.error_on_failure(), cpu.error_on_failure()]
        }
    }
}

pub(super) fn no_provider(
    runtime: &Runtime,
    provider: Provider,
    error: &ort::Error,
) -> SessionError {
    let reason = error.to_string().trim_end_matches('.').to_owned();
    let library = runtime.library().display();
    let advice = if reason.contains("not enabled in this build") {
        format!("{library} is the build for processors: run script/setup --gpu")
    } else if reason.contains("cannot open shared object file") {
        format!(
            "install that library where the loader finds it, or add its folder to LD_LIBRARY_PATH ({library} is in use)"
        )
    } else {
        format!("check the driver and the card with nvidia-smi ({library} is in use)")
    };
    SessionError::Provider {
        provider,
        reason,
        advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_written_as_they_are_read() {
        for text in ["cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<Provider>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Provider::Cuda { device: 0 }));
        for text in ["gpu", "cuda:", "cuda:-1", "CUDA:x"] {
            assert!(
                text.parse::<Provider>()
                    .unwrap_err()
                    .contains("write cpu, cuda"),
                "{text}"
            );
        }
    }
}
