//! Who calls: agents with long conversations and short answers, and chat with short prompts.

use super::{chance::Chance, truth::Prompt};

/// The mix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mix {
    /// Share of requests that are turns of agents.
    pub(crate) agents: f64,
    /// Standard deviation of the (lognormal) error of our estimate of input tokens.
    pub(crate) noise: f64,
}

const AGENT_MAX_TOKENS: u64 = 8_192;
const CHAT_MAX_TOKENS: u64 = 2_048;
/// Seconds between two turns of one agent.
const TURN_EVERY: f64 = 25.0;
const CONVERSATION_MAX: u64 = 98_000;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) prompt: Prompt,
    pub(crate) output: u64,
    pub(crate) max_tokens: u64,
    pub(crate) input_estimate: u64,
    /// The agent's conversation.
    agent: Option<u64>,
}

impl Call {
    pub(crate) fn reserved(&self) -> f64 {
        (self.prompt.prefix + self.prompt.fresh + self.max_tokens) as f64
    }

    pub(crate) fn is_agent(&self) -> bool {
        self.agent.is_some()
    }
}

#[derive(Debug, Clone)]
struct Conversation {
    number: u64,
    tokens: u64,
    busy: bool,
    /// By what our estimate of its tokens is off: the same text always counts the same.
    off: f64,
}

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Load {
    chance: Chance,
    mix: Mix,
    pool: Vec<Conversation>,
    wanted: usize,
    numbers: u64,
}

impl Load {
    pub(crate) fn new(mut chance: Chance, per_second: f64, mix: Mix) -> Self {
        let wanted = ((per_second * mix.agents * TURN_EVERY) as usize).max(3);
        let mut numbers = 0;
        let pool = (0..wanted)
            .map(|_| {
                numbers += 1;
                let tokens = 20_000.0 + chance.unit().powf(1.5) * 70_000.0;
                let off = (mix.noise * chance.normal()).exp();
                Conversation { number: numbers, tokens: (tokens as u64).min(95_000), busy: false, off }
            })
            .collect();
        Self { chance, mix, pool, wanted, numbers }
    }

    fn begin(&mut self) -> Conversation {
        let off = (self.mix.noise * self.chance.normal()).exp();
        self.numbers += 1;
        let tokens = 20_000.0 + self.chance.exponential(6_000.0);
        Conversation { number: self.numbers, tokens: (tokens as u64).min(95_000), busy: false, off }
    }

    pub(crate) fn call(&mut self) -> Call {
        let mut call = if self.chance.unit() < self.mix.agents { self.turn() } else { self.chat() };
        let input = (call.prompt.prefix + call.prompt.fresh) as f64;
        let off = match self.place(&call) {
            Some(place) => self.pool[place].off,
            None => (self.mix.noise * self.chance.normal()).exp(),
        };
        call.input_estimate = (input * off) as u64;
        call
    }

    fn turn(&mut self) -> Call {
        let tries = (0..6).map(|_| self.chance.below(self.pool.len())).collect::<Vec<_>>();
        let place = tries.into_iter().find(|place| !self.pool[*place].busy).unwrap_or_else(|| {
            let conversation = self.begin();
            self.pool.push(conversation);
            self.pool.len() - 1
        });
        let conversation = &mut self.pool[place];
        conversation.busy = true;
        let (number, prefix) = (conversation.number, conversation.tokens);
        let prompt = Prompt {
            conversation: number,
            family: u64::MAX - number % 3,
            family_tokens: 15_000,
            prefix,
            fresh: (self.chance.lognormal(6.9, 0.9) as u64).min(20_000),
        };
        let output = (self.chance.lognormal(5.1, 0.9) as u64).clamp(20, AGENT_MAX_TOKENS);
        Call { prompt, output, max_tokens: AGENT_MAX_TOKENS, input_estimate: 0, agent: Some(number) }
    }

    fn chat(&mut self) -> Call {
        self.numbers += 1;
        let fresh = (self.chance.lognormal(6.2, 1.0) as u64).clamp(30, 30_000);
        let output = (self.chance.lognormal(5.5, 0.9) as u64).clamp(10, CHAT_MAX_TOKENS);
        let prompt = Prompt { conversation: self.numbers, family: 0, family_tokens: 0, prefix: 0, fresh };
        Call { prompt, output, max_tokens: CHAT_MAX_TOKENS, input_estimate: 0, agent: None }
    }

    /// The answer has ended: the conversation has grown by it, or is over.
    pub(crate) fn finished(&mut self, call: &Call) {
        let Some(place) = self.place(call) else { return };
        let tokens = call.prompt.prefix + call.prompt.fresh + call.output;
        self.pool[place].busy = false;
        self.pool[place].tokens = tokens;
        if tokens > CONVERSATION_MAX || self.chance.unit() < 1.0 / 40.0 {
            if self.pool.len() > self.wanted {
                self.pool.swap_remove(place);
            } else {
                self.pool[place] = self.begin();
            }
        }
    }

    /// The call was refused: the agent tries again later.
    pub(crate) fn refused(&mut self, call: &Call) {
        if let Some(place) = self.place(call) {
            self.pool[place].busy = false;
        }
    }

    fn place(&self, call: &Call) -> Option<usize> {
        let number = call.agent?;
        self.pool.iter().position(|conversation| conversation.number == number)
    }
}
