//! Typed names: an id of one kind cannot be passed where another is meant.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

name_type!(
    /// An AWS region, e.g. `us-east-1`.
    Region
);
name_type!(
    /// A foundation model's own id at Bedrock, without profile prefix, e.g. `anthropic.claude-sonnet-4-6`.
    ModelId
);
name_type!(
    /// A name a caller may use for a model.
    ModelAlias
);
name_type!(
    /// What goes into the path of a Bedrock call: a model id, an inference profile id or an ARN.
    InvokeId
);
name_type!(
    /// The prefix of a cross-region inference profile without its dot, e.g. `us`, `eu`, `us-gov`.
    Geography
);
name_type!(
    /// A gateway key's public id (never the key itself).
    KeyId
);
name_type!(
    /// One client request, `req_` and 24 characters; the caller sees it in `x-request-id`.
    RequestId
);
