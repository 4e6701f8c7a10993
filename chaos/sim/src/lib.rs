//! A simulator of AWS Bedrock in several regions that refuses what AWS refuses.
