//! Keys as Chromium wants them described.

use serde_json::{Value, json};

/// What goes down and up for a key such as `Tab`, `Shift+Tab` or `a`.
pub(super) fn strokes(key: &str) -> [Value; 2] {
    let (modifiers, key) = match key.split_once('+') {
        Some(("Shift", key)) => (8, key),
        Some(("Control", key)) => (2, key),
        _ => (0, key),
    };
    let (code, number, text) = match key {
        "Tab" => ("Tab", 9, ""),
        "Enter" => ("Enter", 13, "\r"),
        "Escape" => ("Escape", 27, ""),
        "Space" => ("Space", 32, " "),
        "ArrowLeft" => ("ArrowLeft", 37, ""),
        "ArrowUp" => ("ArrowUp", 38, ""),
        "ArrowRight" => ("ArrowRight", 39, ""),
        "ArrowDown" => ("ArrowDown", 40, ""),
        "Delete" => ("Delete", 46, ""),
        _ => ("", 0, key),
    };
    let name = if key == "Space" { " " } else { key };
    let stroke = |kind: &str| json!({"type": kind, "key": name, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers});
    let mut down = stroke(if text.is_empty() { "rawKeyDown" } else { "keyDown" });
    down["text"] = text.into();
    [down, stroke("keyUp")]
}
