//! Plots as SVG, for a page that needs nothing from elsewhere.
//!
//! Colours come from classes that the page defines, so that one plot fits a light and a dark one; no line is
//! told from another by colour alone.

pub mod axis;
pub mod chart;
pub mod svg;
pub mod timeline;

pub use self::{
    axis::Axis,
    chart::{Chart, Series, Style},
    timeline::{Bar, Condition, Lane, Mark, Timeline},
};
