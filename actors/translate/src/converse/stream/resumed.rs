//! A reader whose answer broke and goes on in another call.

use super::{BlockState, StreamReader, TagState};
use crate::converse::resume::Seam;

impl StreamReader {
    /// True once the model has said that it was done, whether or not its tokens are told yet.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.stop.is_some() || self.finished.is_some()
    }

    /// From here on the events are those of another call that goes on with this answer, where it broke.
    pub fn resume(&mut self, seam: Seam) {
        self.seam = Some(Box::new(seam));
        // Tokens of the call that broke, told before it broke: not those of the next one.
        self.metadata = None;
        for block in &mut self.open {
            if let BlockState::Prose { tags, .. } = &mut block.state
                // Within the answer everything passes, and goes on passing.
                && !matches!(tags, TagState::Answer)
            {
                // What might have become a tag was not shown to the client, nor to the model that goes on.
                *tags = TagState::default();
            }
        }
    }
}
