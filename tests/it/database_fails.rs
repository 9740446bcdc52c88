//! The database's server restarts, is replaced, falls silent or says nothing of what
//! became of a commit: nothing that was acknowledged is lost, and nobody is told
//! anything but to come again.

mod ambiguous;
mod failover;
mod restart;
mod startup;
