//! Rules between settings of different sections. A rule is only checked when the values it looks at are sound.

use super::{
    Settings,
    models::arn_region,
    read::{Reader, show_duration},
};

/// Reports every broken rule.
pub(super) fn check(settings: &Settings, reader: &Reader) {
    check_ports(settings, reader);
    check_prefixes(settings, reader);
    check_deadlines(settings, reader);
    check_residency(settings, reader);
    check_profiles(settings, reader);
}

fn check_ports(settings: &Settings, reader: &Reader) {
    let (server, admin) = (&settings.server, &settings.admin);
    if !admin.enabled || !reader.sound(&["server.bind", "server.port", "admin"]) {
        return;
    }
    let overlap = server.bind == admin.bind || server.bind.is_unspecified() || admin.bind.is_unspecified();
    if overlap && server.port == admin.port && server.port != 0 {
        reader.problem_at("admin.port", format!("`server.port` is {} too; give one of them another port", server.port));
    }
}

/// Two dialects cannot have the same path.
fn check_prefixes(settings: &Settings, reader: &Reader) {
    if !reader.sound(&["server.openai_prefix", "server.anthropic_prefix"]) {
        return;
    }
    let (openai, anthropic) = (settings.server.openai_prefix.as_str(), settings.server.anthropic_prefix.as_str());
    if anthropic.is_empty() {
        return;
    }
    if openai == format!("{anthropic}/v1") {
        reader.problem_at("server.openai_prefix", format!("`server.anthropic_prefix` ({anthropic}) has its own routes under {openai}"));
    }
    let mut taken = ["/health", "/v1/messages", "/v1/models", openai].map(str::to_owned).to_vec();
    if settings.server.native_routes {
        taken.extend(["/model", "/foundation-models", "/inference-profiles"].map(str::to_owned));
    }
    let inside = |path: &String| !path.is_empty() && (anthropic == path || anthropic.starts_with(&format!("{path}/")));
    if let Some(path) = taken.iter().find(|path| inside(path)) {
        reader.problem_at("server.anthropic_prefix", format!("other routes lie under {path}; choose another prefix"));
    }
}

/// The inner deadline must be able to pass before the outer one, or it never does.
fn check_deadlines(settings: &Settings, reader: &Reader) {
    let timeouts = &settings.timeouts;
    let pairs = [
        ("timeouts.connect", timeouts.connect, "timeouts.first_byte", timeouts.first_byte),
        ("timeouts.first_byte", timeouts.first_byte, "timeouts.total", timeouts.total),
        ("timeouts.stream_idle", timeouts.stream_idle, "timeouts.total", timeouts.total),
        ("lanes.chat.queue_wait", settings.lanes.chat.queue_wait, "timeouts.total", timeouts.total),
        ("routing.max_wait", settings.routing.max_wait, "timeouts.total", timeouts.total),
        ("fetch.timeout", settings.fetch.timeout, "timeouts.total", timeouts.total),
    ];
    for (inner_path, inner, outer_path, outer) in pairs {
        if reader.sound(&[inner_path, outer_path]) && inner > outer {
            let message = format!("{} is longer than `{outer_path}` ({})", show_duration(inner), show_duration(outer));
            reader.problem_at(inner_path, message);
        }
    }
}

fn check_residency(settings: &Settings, reader: &Reader) {
    let models = &settings.models;
    if !reader.sound(&["models.residency", "models.data_files", "model data"]) {
        return;
    }
    let unknown: Vec<&String> = models.residency.iter().filter(|place| !models.knows(place)).collect();
    if !unknown.is_empty() {
        let geographies: Vec<&str> = models.geographies().collect();
        for place in unknown {
            let message = format!("\"{place}\" is neither a region nor a geography of the model data: {}", geographies.join(", "));
            reader.problem_at("models.residency", message);
        }
        return;
    }
    if reader.sound(&["aws.regions"]) {
        for region in settings.aws.regions.iter().filter(|region| !models.admits(region)) {
            reader.problem_at("aws.regions", format!("`{region}` lies outside `models.residency`"));
        }
    }
}

/// A profile is called in its own region.
fn check_profiles(settings: &Settings, reader: &Reader) {
    if !reader.sound(&["models.inference_profiles", "aws.regions"]) {
        return;
    }
    for arn in settings.models.inference_profiles.keys() {
        if let Some(region) = arn_region(arn).filter(|region| !settings.aws.regions.contains(region)) {
            reader.problem_at("models.inference_profiles", format!("`{arn}` lies in `{region}`, which is not listed in `aws.regions`"));
        }
    }
}
