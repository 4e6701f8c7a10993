//! Strings that match a regular expression.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Growth of repetitions tried to reach a minimum length.
const MAX_GROWTH: usize = 64;
/// Longest string made.
const LONGEST: usize = 4096;

/// Characters preferred from a class, in order.
const PREFERRED: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_ .";

/// Whether `text` matches somewhere; `None` when the expression is beyond this engine (lookaround, back-references).
pub(super) fn matches(source: &str, text: &str) -> Option<bool> {
    regex_lite::Regex::new(source).ok().map(|regex| regex.is_match(text))
}

/// A string of `least..=most` characters that matches, different for different variants where the expression allows.
pub(super) fn generate(source: &str, (least, most): (usize, usize), variant: usize) -> Option<String> {
    // ECMA classes such as \d are ASCII; only what cannot be read that way is read as Unicode.
    let parse = |unicode: bool| ParserBuilder::new().unicode(unicode).utf8(unicode).build().parse(source).ok();
    let tree = parse(false).or_else(|| parse(true))?;
    let fits = |text: &String| (least..=most).contains(&text.chars().count()) && matches(source, text) != Some(false);
    for growth in 0..=MAX_GROWTH {
        for turn in [variant, 0] {
            let mut made = Made { text: String::new(), growth, variant: turn };
            made.node(&tree);
            if fits(&made.text) {
                return Some(made.text);
            }
            // Without an end anchor anything may follow.
            let missing = least.saturating_sub(made.text.chars().count()).min(LONGEST);
            let padded = format!("{}{}", made.text, "a".repeat(missing));
            if missing > 0 && fits(&padded) {
                return Some(padded);
            }
        }
    }
    None
}

struct Made {
    text: String,
    growth: usize,
    variant: usize,
}

impl Made {
    fn node(&mut self, node: &Hir) {
        if self.text.len() > LONGEST {
            return;
        }
        match node.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.text.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(class) => self.class(class),
            HirKind::Capture(group) => self.node(&group.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.node(part)),
            HirKind::Alternation(branches) => {
                if let Some(branch) = self.variant.checked_rem(branches.len()).and_then(|index| branches.get(index)) {
                    self.node(branch);
                }
            }
            HirKind::Repetition(repeat) => {
                let least = usize::try_from(repeat.min).unwrap_or(LONGEST);
                let most = repeat.max.map_or(LONGEST, |most| usize::try_from(most).unwrap_or(LONGEST));
                for _ in 0..(least + self.growth).min(most) {
                    self.node(&repeat.sub);
                }
            }
        }
    }

    /// One character of the class; the variant walks through the preferred ones like the digits of a number.
    fn class(&mut self, class: &Class) {
        let holds = |c: char| match class {
            Class::Unicode(class) => class.iter().any(|range| (range.start()..=range.end()).contains(&c)),
            Class::Bytes(class) => {
                u8::try_from(c).is_ok_and(|byte| byte.is_ascii() && class.iter().any(|range| (range.start()..=range.end()).contains(&byte)))
            }
        };
        let good: Vec<char> = PREFERRED.chars().filter(|c| holds(*c)).collect();
        let Some(index) = self.variant.checked_rem(good.len()) else {
            let first = match class {
                Class::Unicode(class) => class.iter().next().map(|range| range.start()),
                Class::Bytes(class) => class.iter().next().map(|range| char::from(range.start())),
            };
            self.text.extend(first);
            return;
        };
        self.text.extend(good.get(index));
        self.variant /= good.len();
    }
}
