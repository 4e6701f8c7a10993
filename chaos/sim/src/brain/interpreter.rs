//! Programs that Nova writes and Bedrock runs: sums, averages and quotients of the numbers that were said.

use serde::Serialize;

use super::Block;
use super::memory::Call;
use super::scene::Scene;
use super::words::words;
use crate::validate::shape::Request;

const NAME: &str = "nova_code_interpreter";

#[derive(Serialize)]
struct Input<'a> {
    code: &'a str,
}

/// What the sandbox tells of a program, as text in the tool's result. Source: Nova user guide, built-in tools.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    std_out: &'a str,
    std_err: &'a str,
    exit_code: u8,
    is_error: bool,
}

/// A program, and what comes of it.
struct Program {
    code: String,
    result: Result<String, &'static str>,
}

/// An answer that a program computed, if the request offers the interpreter and the user asks for a computation.
pub(super) fn computed(request: &Request<'_>, scene: &Scene<'_>, call: Call) -> Option<Vec<Block>> {
    if !request.offers_system_tool(NAME) {
        return None;
    }
    let Program { code, result } = program(&scene.said)?;
    let (outcome, text) = match &result {
        Ok(printed) => {
            (Outcome { std_out: printed, std_err: "", exit_code: 0, is_error: false }, format!("The program printed {printed}."))
        }
        Err(fault) => (Outcome { std_out: "", std_err: fault, exit_code: 1, is_error: true }, format!("The program failed: {fault}.")),
    };
    let id = call.tool_id(0);
    Some(vec![
        Block::SystemToolUse { id: id.clone(), name: NAME, input: serde_json::to_value(Input { code: &code }).ok()? },
        Block::SystemToolResult {
            id,
            kind: "nova_code_interpreter_result",
            text: serde_json::to_string(&outcome).ok()?,
            failed: outcome.is_error,
        },
        Block::Text(text),
    ])
}

fn program(said: &str) -> Option<Program> {
    let numbers: Vec<i32> = said.split(|c: char| c != '-' && !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let [first, second, ..] = *numbers.as_slice() else { return None };
    let words = words(said);
    let says = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    if says(&["divide", "divided"]) {
        let quotient = f64::from(first) / f64::from(second);
        let result = if second == 0 { Err("ZeroDivisionError: division by zero") } else { Ok(format!("{quotient:?}")) };
        return Some(Program { code: format!("print({first} / {second})"), result });
    }
    let list = format!("numbers = {numbers:?}");
    if says(&["average", "mean"]) {
        let sum: f64 = numbers.iter().copied().map(f64::from).sum();
        let average = sum / f64::from(u32::try_from(numbers.len()).ok()?);
        return Some(Program { code: format!("{list}\nprint(sum(numbers) / len(numbers))"), result: Ok(format!("{average:?}")) });
    }
    if says(&["sum", "add", "total", "compute", "calculate", "python", "program"]) {
        let sum: i64 = numbers.iter().copied().map(i64::from).sum();
        return Some(Program { code: format!("{list}\nprint(sum(numbers))"), result: Ok(sum.to_string()) });
    }
    None
}
