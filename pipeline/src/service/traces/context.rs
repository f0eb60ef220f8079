//! To the contract's trace context and back.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::frame::TraceContext;

/// What a frame bears, as the library has it.
pub(super) fn of_frame(trace: &TraceContext) -> Option<SpanContext> {
    let mut parts = trace.traceparent().split('-').skip(1);
    let trace_id = TraceId::from_hex(parts.next()?).ok()?;
    let span_id = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    // W3C asks to go on without a state that is malformed.
    let state = trace.tracestate().and_then(|state| state.parse().ok());
    let is_remote = true;
    let state: TraceState = state.unwrap_or_default();
    Some(SpanContext::new(trace_id, span_id, flags, is_remote, state))
}

/// What a frame is to bear; none for a span that is none.
pub(super) fn for_frame(span: &SpanContext) -> Option<TraceContext> {
    if !span.is_valid() {
        return None;
    }
    let (trace_id, span_id, flags) = (span.trace_id(), span.span_id(), span.trace_flags());
    let state = span.trace_state().header();
    let state = (!state.is_empty()).then_some(state);
    TraceContext::new(
        format!("00-{trace_id}-{span_id}-{:02x}", flags.to_u8()),
        state,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same() {
        for flags in ["00", "01"] {
            let parent = format!("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-{flags}");
            for state in [None, Some("a=1,b=2".to_owned())] {
                let trace = TraceContext::new(&*parent, state).unwrap();
                let span = of_frame(&trace).unwrap();
                assert_eq!(span.is_sampled(), flags == "01");
                assert!(span.is_remote());
                assert_eq!(for_frame(&span), Some(trace));
            }
        }
        assert_eq!(for_frame(&SpanContext::empty_context()), None);
    }

    #[test]
    fn a_malformed_state_does_not_cost_the_trace() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
        let trace = TraceContext::new(parent, Some("no pairs".to_owned())).unwrap();
        let span = of_frame(&trace).unwrap();
        assert_eq!(for_frame(&span), TraceContext::new(parent, None));
    }
}
