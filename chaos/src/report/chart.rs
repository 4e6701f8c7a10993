//! One chart as inline SVG: series over time, faults as shaded bands.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// Colours that the colour-blind can tell apart, good on white and on black. Source: Okabe and Ito, the blue lighter.
const COLOURS: [RGBColor; 7] = [
    RGBColor(46, 134, 193),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(136, 136, 136),
];
/// Lines of the grid: visible on white and on black.
const GRID: RGBColor = RGBColor(128, 128, 128);
/// Width and height of a chart, in units of its own; the page scales it.
const SIZE: (u32, u32) = (960, 220);

/// A chart.
#[derive(Debug, Clone, Default)]
pub(super) struct Chart {
    pub(super) title: String,
    /// What the vertical axis counts.
    pub(super) unit: String,
    /// The vertical axis is logarithmic.
    pub(super) log: bool,
    pub(super) series: Vec<Series>,
    /// The horizontal axis: time in seconds, or something with words of its own.
    pub(super) across: Across,
}

/// What runs across.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Across {
    /// Seconds.
    #[default]
    Time,
    /// `log2(1 / share)` of a latency spectrum.
    Share,
}

/// A series.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) look: Look,
}

/// How a series is drawn. Colour is never alone: shape or dashes say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Look {
    #[default]
    Line,
    /// Stacked: filled down to the series before it.
    Area,
    SmallDots,
    Triangles,
    Crosses,
}

/// A fault over all charts.
#[derive(Debug, Clone)]
pub(super) struct Band {
    pub(super) label: String,
    pub(super) from: f64,
    pub(super) until: f64,
}

type Fault = DrawingAreaErrorKind<std::fmt::Error>;

impl Chart {
    /// The chart as SVG, without any reference to the outside.
    pub(super) fn svg(&self, until: f64, bands: &[Band]) -> String {
        let mut svg = String::new();
        if self.draw(&mut svg, until, bands).is_err() {
            return format!("<p>The chart “{}” could not be drawn.</p>", super::html::escape(&self.title));
        }
        let legend: String = self.series.iter().enumerate().map(|(index, series)| legend(index, series)).collect();
        let svg = svg.replace(" xmlns=\"http://www.w3.org/2000/svg\"", "");
        format!(
            "<figure><figcaption>{} <span class=\"unit\">{}</span></figcaption>{svg}<p class=\"legend\">{legend}</p></figure>\n",
            super::html::escape(&self.title),
            super::html::escape(&self.unit)
        )
    }

    fn draw(&self, svg: &mut String, until: f64, bands: &[Band]) -> Result<(), Fault> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let result = self.draw_on(&area, until, bands).map_err(|_| DrawingAreaErrorKind::LayoutError);
        area.present().map_err(|_| DrawingAreaErrorKind::LayoutError)?;
        result
    }

    fn draw_on(&self, area: &DrawingArea<SVGBackend<'_>, Shift>, until: f64, bands: &[Band]) -> Result<(), Box<dyn std::error::Error>> {
        let (low, high) = self.range();
        let until = until.max(1.0);
        let mut chart = ChartBuilder::on(area)
            .margin_right(12)
            .margin_top(6)
            .x_label_area_size(26)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..until, low..high)?;
        chart.draw_series(bands.iter().enumerate().map(|(index, band)| {
            let shade = colour(index + 3).mix(0.13).filled();
            Rectangle::new([(band.from.max(0.0), low), (band.until.min(until), high)], shade)
        }))?;
        let (log, across) = (self.log, self.across);
        let x_words = move |x: &f64| if across == Across::Share { share_words(*x) } else { time_words(*x) };
        let y_words = move |y: &f64| if log { plain(10_f64.powf(*y)) } else { plain(*y) };
        chart
            .configure_mesh()
            .bold_line_style(GRID.mix(0.25))
            .light_line_style(GRID.mix(0.0))
            .axis_style(GRID.mix(0.6))
            .x_labels(12)
            .y_labels(6)
            .x_label_formatter(&x_words)
            .y_label_formatter(&y_words)
            .label_style(("sans-serif", 12).into_font())
            .draw()?;
        let mut below: Vec<(f64, f64)> = Vec::new();
        for (index, series) in self.series.iter().enumerate() {
            let colour = colour(index);
            // What comes after the end would be pressed onto it.
            let within = series.points.iter().filter(|(x, _)| *x <= until);
            let points: Vec<(f64, f64)> = within.map(|(x, y)| (*x, self.scaled(*y).clamp(low, high))).collect();
            match series.look {
                Look::Line if index % 2 == 1 => chart.draw_series(DashedLineSeries::new(points, 7, 4, colour.stroke_width(2)))?,
                Look::Line => chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?,
                Look::Area => {
                    chart.draw_series([Polygon::new(outline(&points, &below), colour.mix(0.45))])?;
                    below.clone_from(&points);
                    chart.draw_series(LineSeries::new(points, colour.stroke_width(1)))?
                }
                Look::SmallDots => chart.draw_series(points.into_iter().map(|point| Circle::new(point, 2, colour.mix(0.7).filled())))?,
                Look::Triangles => chart.draw_series(points.into_iter().map(|point| TriangleMarker::new(point, 6, colour.filled())))?,
                Look::Crosses => chart.draw_series(points.into_iter().map(|point| Cross::new(point, 5, colour.stroke_width(2))))?,
            };
        }
        let words = ("sans-serif", 11).into_font().color(&GRID).pos(Pos::new(HPos::Left, VPos::Top));
        for (row, band) in bands.iter().enumerate() {
            // Bands that overlap must not write over each other.
            let at = high - (high - low) * 0.07 * f64::from(u32::try_from(row % 5).unwrap_or(0));
            chart.draw_series([Text::new(band.label.clone(), (band.from.max(0.0), at), words.clone())])?;
        }
        Ok(())
    }

    fn scaled(&self, value: f64) -> f64 {
        /// Nothing is shorter than a tenth of a millisecond on a logarithmic axis.
        const LEAST: f64 = 1e-4;
        if self.log { value.max(LEAST).log10() } else { value }
    }

    fn range(&self) -> (f64, f64) {
        let values = self.series.iter().flat_map(|series| series.points.iter().map(|(_, y)| self.scaled(*y)));
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return (0.0, 1.0);
        }
        let low = if self.log { low.floor() } else { 0.0_f64.min(low) };
        let high = if self.log { high.ceil().max(low + 1.0) } else { (high * 1.08).max(low + 1e-9) };
        (low, high)
    }
}

/// The outline of an area that stands on another, or on zero.
fn outline(points: &[(f64, f64)], below: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let floor: Vec<(f64, f64)> = if below.is_empty() {
        points.last().into_iter().chain(points.first()).map(|(x, _)| (*x, 0.0)).collect()
    } else {
        below.iter().rev().copied().collect()
    };
    points.iter().copied().chain(floor).collect()
}

fn colour(index: usize) -> RGBColor {
    COLOURS.get(index % COLOURS.len()).copied().unwrap_or(GRID)
}

fn legend(index: usize, series: &Series) -> String {
    let RGBColor(red, green, blue) = colour(index);
    let mark = match series.look {
        Look::Line if index % 2 == 1 => "╌╌",
        Look::Line => "──",
        Look::Area => "▇",
        Look::SmallDots => "·",
        Look::Triangles => "▲",
        Look::Crosses => "✕",
    };
    format!("<span><b style=\"color:rgb({red},{green},{blue})\">{mark}</b> {}</span> ", super::html::escape(&series.name))
}

fn time_words(seconds: f64) -> String {
    if seconds >= 120.0 { format!("{:.1} min", seconds / 60.0) } else { format!("{seconds:.0} s") }
}

/// 0 is the median's step: `x` halvings of the share that takes longer.
fn share_words(halvings: f64) -> String {
    let share = 100.0 * (1.0 - 0.5_f64.powf(halvings));
    format!("p{share:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn plain(value: f64) -> String {
    if value.abs() >= 10_000.0 {
        format!("{:.0}k", value / 1_000.0)
    } else if value.abs() >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if value.abs() >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}").trim_end_matches('0').to_owned()
    }
}
