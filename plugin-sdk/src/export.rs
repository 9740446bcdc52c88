//! From the exported functions to the traits. Generic, so that all that a
//! plugin's own crate contains is the list of its jobs.

use crate::bindings::{filter, mapper, prepare, settings, transformer};
use crate::{Description, Draft, Event, Filter, Issue, Mapper, Message, Plugin, Prepare, Refusal, Request};
use crate::{Transformer, Verdict, config};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;

/// Exports a plugin with the jobs that it does: any of `mapper`, `filter` and
/// `transformer`. `prepare` beside them has [`Prepare`] called once, when the
/// component is compiled.
///
/// Compiled for WebAssembly, this makes the crate a component. Compiled
/// natively, it checks that the traits are there and does nothing else.
///
/// ```
/// # use hookyard_plugin::{Description, Event, Filter, Plugin, Refusal, Verdict};
/// # struct Paid;
/// # impl Plugin for Paid {
/// #     type Config = ();
/// #     fn describe() -> Description { Description::new("paid", "1.0.0", "Keeps what is paid.") }
/// # }
/// # impl Filter for Paid {
/// #     fn keep(_: &Event, _: &()) -> Result<Verdict, Refusal> { Ok(Verdict::Keep) }
/// # }
/// hookyard_plugin::export!(Paid: filter);
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($job:ident),+ $(,)?) => {
        const _: () = {
            type Exported = $crate::export::Exported<$plugin>;
            $($crate::__check_job!($plugin: $job);)+
            #[cfg(target_arch = "wasm32")]
            const _: () = {
                $crate::bindings::settings::export!(Exported with_types_in $crate::bindings::settings);
                $($crate::bindings::$job::export!(Exported with_types_in $crate::bindings::$job);)+
            };
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __check_job {
    ($plugin:ty: mapper) => {
        const _: fn() = $crate::export::is_mapper::<$plugin>;
    };
    ($plugin:ty: filter) => {
        const _: fn() = $crate::export::is_filter::<$plugin>;
    };
    ($plugin:ty: transformer) => {
        const _: fn() = $crate::export::is_transformer::<$plugin>;
    };
    ($plugin:ty: prepare) => {
        const _: fn() = $crate::export::is_prepared::<$plugin>;
    };
    ($plugin:ty: $other:ident) => {
        compile_error!(concat!(
            "`",
            stringify!($other),
            "` is no job: a plugin is a mapper, a filter or a transformer, and may prepare"
        ));
    };
}

#[doc(hidden)]
pub fn is_mapper<P: Mapper>() {}
#[doc(hidden)]
pub fn is_filter<P: Filter>() {}
#[doc(hidden)]
pub fn is_transformer<P: Transformer>() {}
#[doc(hidden)]
pub fn is_prepared<P: Prepare>() {}

/// A plugin as the component model sees it.
pub struct Exported<P>(PhantomData<P>);

impl<P: Plugin> settings::exports::hookyard::plugin::settings::Guest for Exported<P> {
    fn describe() -> Description {
        P::describe()
    }

    fn check(config: String) -> Result<(), Vec<Issue>> {
        config::check::<P>(&config)
    }
}

impl<P: Prepare> prepare::exports::hookyard::plugin::prepare::Guest for Exported<P> {
    fn prepare() {
        P::prepare();
    }
}

/// The memory ends with the call: to take apart what is in it, box by box, cost
/// an eighth of field-mapper's instructions.
fn never_dropped<T>(value: T) -> ManuallyDrop<T> {
    ManuallyDrop::new(value)
}

fn read<P: Plugin>(text: &str) -> Result<ManuallyDrop<P::Config>, Refusal> {
    config::for_call::<P>(text).map(never_dropped)
}

impl<P: Mapper> mapper::exports::hookyard::plugin::mapper::Guest for Exported<P> {
    fn map(request: Request, config: String) -> Result<Vec<Draft>, Refusal> {
        P::map(&never_dropped(request), &*read::<P>(&config)?)
    }
}

impl<P: Filter> filter::exports::hookyard::plugin::filter::Guest for Exported<P> {
    fn keep(event: Event, config: String) -> Result<Verdict, Refusal> {
        P::keep(&never_dropped(event), &*read::<P>(&config)?)
    }
}

impl<P: Transformer> transformer::exports::hookyard::plugin::transformer::Guest for Exported<P> {
    fn transform(event: Event, message: Message, config: String) -> Result<Message, Refusal> {
        P::transform(&never_dropped(event), message, &*read::<P>(&config)?)
    }
}
