//! A message with twenty people, written and read; `serde_json::Value` alone as the baseline.
#![allow(missing_docs, reason = "a bench")]

use divan::{Bencher, black_box};
use lva_inference_schema::{AnalyticsBody, Entity, Inference, JsonStyle, Rectangle};
use serde_json::Value;

fn main() {
    divan::main();
}

fn twenty() -> AnalyticsBody {
    let people = (0..20_u8).map(|i| {
        let left = f32::from(i) / 25.0 + 0.001_234_5;
        let place = Rectangle::new(left, 0.178_877_35_f32, 0.092_475_05_f32, 0.266_296_6_f32);
        let entity = Entity::new("person", 0.660_261_87_f32 + f32::from(i) / 100.0, place);
        Inference::new(entity).with_id(format!("a895c86824db41a898f776da1876d2{i:02}"))
    });
    AnalyticsBody::new(143_810_610_210_090, people.collect())
}

#[divan::bench]
fn write_twenty_lva(bencher: Bencher<'_, '_>) {
    let body = twenty();
    bencher.bench(|| serde_json::to_string(&black_box(&body).styled(JsonStyle::Lva)));
}

#[divan::bench]
fn write_twenty_video_analyzer(bencher: Bencher<'_, '_>) {
    let body = twenty();
    bencher.bench(|| serde_json::to_string(&black_box(&body).styled(JsonStyle::VideoAnalyzer)));
}

#[divan::bench]
fn write_twenty_baseline_value(bencher: Bencher<'_, '_>) {
    let value = twenty().to_json(JsonStyle::Lva);
    bencher.bench(|| serde_json::to_string(black_box(&value)));
}

#[divan::bench]
fn read_twenty_lva(bencher: Bencher<'_, '_>) {
    let text = twenty().to_json(JsonStyle::Lva).to_string();
    bencher.bench(|| {
        let value: Value = serde_json::from_str(black_box(&text)).unwrap_or_default();
        AnalyticsBody::from_json(value)
    });
}

#[divan::bench]
fn read_twenty_baseline_value(bencher: Bencher<'_, '_>) {
    let text = twenty().to_json(JsonStyle::Lva).to_string();
    bencher.bench(|| serde_json::from_str::<Value>(black_box(&text)));
}
