//! What is known of a method before its messages are there.

/// How a call is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    CheckCall,
    CheckCalls,
    StreamCheckCalls,
    /// One request, one response, behind.
    Behind,
    /// One request, a stream of responses, behind.
    Answers,
    /// Health, which everybody may ask about; `lasting`: and be told of for as long as they like.
    Health {
        lasting: bool,
    },
    /// Messages are passed on as they come: streams of requests, and whatever is not known here.
    Coming,
}

/// The kind of the method with this path.
#[inline]
pub fn kind_of(path: &str) -> Kind {
    match path {
        "/rightcall.v1.DecisionService/CheckCall" => Kind::CheckCall,
        "/rightcall.v1.DecisionService/CheckCalls" => Kind::CheckCalls,
        "/rightcall.v1.DecisionService/StreamCheckCalls" => Kind::StreamCheckCalls,
        "/rightcall.v1.DecisionService/AnswerChallenge"
        | "/rightcall.v1.DecisionService/ExplainCall"
        | "/rightcall.v1.DirectoryService/ListReach"
        | "/rightcall.v1.DirectoryService/GetStatus" => Kind::Behind,
        "/rightcall.v1.DirectoryService/ListCallers" => Kind::Answers,
        "/grpc.health.v1.Health/Check" => Kind::Health { lasting: false },
        "/grpc.health.v1.Health/Watch" => Kind::Health { lasting: true },
        _ => Kind::Coming,
    }
}
