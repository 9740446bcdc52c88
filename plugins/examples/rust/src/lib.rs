//! A plugin to copy: makes orders of a shop's webhooks, keeps the large ones
//! and greets who ordered. Change what is here; the tests at the end and the
//! examples in `describe` show what it does.
//!
//! ```text
//! rustup target add wasm32-wasip2
//! cargo test && cargo build --release --target wasm32-wasip2
//! hookyard plugin test target/wasm32-wasip2/release/order_greeter.wasm tests/*.json
//! ```

use hookyard_plugin::{
    Description, Draft, Event, Example, Filter, Issue, Mapper, Message, Plugin, Refusal, Request, Transformer, Verdict,
    json, log,
};
use serde::Deserialize;

/// The plugin.
pub struct OrderGreeter;

// A plugin need not do all three jobs: name here those that yours does.
hookyard_plugin::export!(OrderGreeter: mapper, filter, transformer);

/// What a tenant writes for a step; what is left out is empty or zero.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    greeting: String,
    min_total: i64,
}

#[derive(Deserialize)]
struct Order {
    order: i64,
    total: i64,
    customer: Customer,
}

#[derive(Deserialize)]
struct Customer {
    name: String,
}

impl Plugin for OrderGreeter {
    type Config = Config;

    fn describe() -> Description {
        let config = json!({"greeting": "Hello", "min_total": 10});
        let order = json!({"order": 7, "total": 25, "customer": {"name": "Jane"}});
        let placed = Event::of("order.placed").account("shop-1").with(&order);
        let greeted = json!({"text": "Hello, Jane! Order 7 came to 25.", "shop": "shop-1", "at": placed.occurred_at});
        Description::new("order-greeter", env!("CARGO_PKG_VERSION"), "Greets who ordered something.")
            .schema(include_str!("schema.json"))
            .example(Example::map(
                "An order becomes an event",
                config.clone(),
                Request::post(&order).header("x-shop", "shop-1"),
                Ok(vec![Draft::with(&order).of("order.placed").about("order:7").account("shop-1")]),
            ))
            .example(Example::keep(
                "A small order is dropped",
                config.clone(),
                Event::of("order.placed").with(json!({"order": 8, "total": 5, "customer": {"name": "Joe"}})),
                Ok(Verdict::Drop("order 8: a total of 5 is below 10".to_owned())),
            ))
            .example(Example::transform(
                "Who ordered is greeted",
                config,
                placed,
                Message::json("{}"),
                Ok(Message::json(greeted).header("x-order", "7").to("orders/7")),
            ))
    }

    fn check(config: &Config) -> Vec<Issue> {
        let mut issues = Vec::new();
        if config.greeting.is_empty() {
            issues.push(Issue::at("greeting", "must be text that is not empty"));
        }
        if config.min_total < 0 {
            issues.push(Issue::at("min_total", "must not be negative"));
        }
        issues
    }
}

impl Mapper for OrderGreeter {
    fn map(request: &Request, _: &Config) -> Result<Vec<Draft>, Refusal> {
        // Understood, and no event: none is made, and nothing is refused.
        if request.query_value("test").is_some() {
            return Ok(Vec::new());
        }
        let order: Order = request.json().map_err(|_| no_order("body"))?;
        let draft = Draft::with(request.text()?).of("order.placed").about(format!("order:{}", order.order));
        Ok(vec![Draft { account: request.header_value("x-shop").map(str::to_owned), ..draft }])
    }
}

impl Filter for OrderGreeter {
    fn keep(event: &Event, config: &Config) -> Result<Verdict, Refusal> {
        let Order { order, total, .. } = event.data().map_err(|_| no_order("data"))?;
        match total < config.min_total {
            true => Ok(Verdict::Drop(format!("order {order}: a total of {total} is below {}", config.min_total))),
            false => Ok(Verdict::Keep),
        }
    }
}

impl Transformer for OrderGreeter {
    fn transform(event: &Event, message: Message, config: &Config) -> Result<Message, Refusal> {
        let Order { order, total, customer } = event.data().map_err(|_| no_order("data"))?;
        log::info(format!("greeting for order {order}"));
        let text = format!("{}, {}! Order {order} came to {total}.", config.greeting, customer.name);
        let body = json!({"text": text, "shop": event.account, "at": event.occurred_at}).to_string().into_bytes();
        let message = message.header("x-order", order.to_string()).to(format!("orders/{order}"));
        Ok(Message { body, ..message })
    }
}

fn no_order(what: &str) -> Refusal {
    Refusal::bad_input(format!("{what}: an order has whole numbers `order` and `total`, and a text `customer.name`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookyard_plugin::native;

    #[test]
    fn the_examples_hold() {
        native::assert_mapper_examples::<OrderGreeter>();
        native::assert_filter_examples::<OrderGreeter>();
        native::assert_transformer_examples::<OrderGreeter>();
    }

    #[test]
    fn what_is_no_order_is_refused() {
        let refusal = native::keep::<OrderGreeter>(&Event::of("a"), r#"{"greeting": "Hi"}"#);
        assert_eq!(refusal.map_err(|refusal| refusal.code), Err("bad-input".to_owned()));
    }
}
