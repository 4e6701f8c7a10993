//! Which program's output a block holds: a program has been written, and others perhaps too, before its output comes.

/// Programs that were run, and the blocks of what they printed. Nearly always none or one.
#[derive(Default)]
pub(super) struct Programs {
    /// Calls by id, with their place in the output.
    calls: Vec<(String, u32)>,
    /// Blocks of output, with the place of their call.
    outputs: Vec<Printed>,
}

struct Printed {
    block: u32,
    output_index: u32,
    begun: bool,
}

impl Programs {
    /// The call `call_id` is the item at `output_index`.
    pub(super) fn begun(&mut self, call_id: &str, output_index: u32) {
        self.calls.push((call_id.to_owned(), output_index));
    }

    /// `block` answers the call `call_id`, which may be no program's.
    pub(super) fn answers(&mut self, block: u32, call_id: &str) {
        if let Some((_, output_index)) = self.calls.iter().rfind(|(id, _)| id == call_id) {
            self.outputs.push(Printed { block, output_index: *output_index, begun: false });
        }
    }

    /// More output in `block`: the place of its call, and whether it goes on with what came before it.
    pub(super) fn printed(&mut self, block: u32) -> Option<(u32, bool)> {
        let printed = self.outputs.iter_mut().rfind(|printed| printed.block == block)?;
        Some((printed.output_index, std::mem::replace(&mut printed.begun, true)))
    }
}
