//! Plays three devices with three loads under our governor, none and the kernel's, and prints the
//! table of `docs/measured/governor.md`. With a device's number, a load's and `heat` or `watts` as
//! arguments, it prints each second of one.

use rushlight_monitor::governor::Limits;
use rushlight_monitor::simulate::{Device, Load, Outcome, Policy, Scenario, devices, loads, run};

const CLOCKS: &[f64] = &[0.9, 0.8, 0.7, 0.6, 0.5];
const POLICIES: [(&str, Policy); 5] = [
    ("nobody", Policy::Nobody),
    ("the kernel", Policy::Kernel),
    ("the kernel, its trip point at the limit", Policy::KernelAtLimit),
    ("ours", Policy::Governor { clocks: &[] }),
    ("ours, with clocks", Policy::Governor { clocks: CLOCKS }),
];

fn scenario(device: &Device, load: Load, limits: Limits) -> Scenario {
    Scenario {
        device: device.clone(),
        load,
        seconds: 3600.0,
        seed: 1,
        limits,
        air: |_| 25.0,
        pass_seconds: 0.0,
        is_warm: false,
        spoil: |_, _| {},
    }
}

fn heat(device: &Device) -> Limits {
    Limits { max_celsius: Some(device.limit_celsius), ..Limits::default() }
}

fn watts(device: &Device) -> Limits {
    Limits { watts: Some(device.limit_watts), ..Limits::default() }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [device, load, limit] = &args[..] {
        let number = |text: &String| text.parse::<usize>().unwrap_or(0);
        let device = &devices()[number(device).min(2)];
        let limits = if limit == "watts" { watts(device) } else { heat(device) };
        let clocks = if limit == "clocks" { CLOCKS } else { &[] };
        let policy = Policy::Governor { clocks };
        let outcome = run(&scenario(device, loads()[number(load).min(2)], limits), policy);
        for t in &outcome.trace {
            println!(
                "{:6.0} s {:6.1} °C {:6.2} W {:8.2} tokens, step {:2}, kernel {}",
                t.second, t.celsius, t.watts, t.tokens, t.position, t.throttled
            );
        }
        for event in &outcome.events {
            println!("{:6.0} s {event}", event.time.as_secs_f64());
        }
        return;
    }
    println!("## A limit of heat\n");
    table(heat, true);
    println!("\n## A limit of watts\n");
    table(watts, false);
    println!("\n## No limit\n");
    unlimited();
}

/// What clocks alone save.
fn unlimited() {
    println!("| device | load | governor | tokens | joules | tokens per joule | mean wait, s |");
    println!("|---|---|---|---:|---:|---:|---:|");
    for device in devices() {
        for load in loads() {
            let clocks = Policy::Governor { clocks: CLOCKS };
            for (name, policy) in [("the kernel", Policy::Kernel), ("ours, with clocks", clocks)] {
                let outcome = run(&scenario(&device, load, Limits::default()), policy);
                println!(
                    "| {} | {} | {name} | {:.0} | {:.0} | {:.3} | {} |",
                    device.name,
                    load.name(),
                    outcome.tokens,
                    outcome.joules,
                    outcome.tokens_per_joule(),
                    wait(&outcome),
                );
            }
        }
    }
}

fn wait(outcome: &Outcome) -> String {
    match outcome.wait_seconds > 0.0 {
        true => format!("{:.1}", outcome.wait_seconds),
        false => "-".to_owned(),
    }
}

fn table(limits: fn(&Device) -> Limits, is_heat: bool) {
    println!(
        "| device, limit | load | governor | tokens | joules | seconds above the limit | most above \
         | tokens per joule | of people who wait | mean wait, s |"
    );
    println!("|---|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for device in devices() {
        for load in loads() {
            for (name, policy) in POLICIES {
                if !is_heat && policy == Policy::KernelAtLimit {
                    continue;
                }
                let outcome = run(&scenario(&device, load, limits(&device)), policy);
                println!("{}", row(&device, load, name, &outcome, is_heat));
            }
        }
    }
}

fn row(device: &Device, load: Load, name: &str, outcome: &Outcome, is_heat: bool) -> String {
    let (limit, seconds, most) = match is_heat {
        true => (
            format!("{} °C", device.limit_celsius),
            outcome.seconds_too_hot,
            format!("{:.1} °C", outcome.most_too_hot.max(0.0)),
        ),
        false => (
            format!("{} W", device.limit_watts),
            outcome.seconds_too_much,
            format!("{:.0} %", outcome.most_too_much.max(0.0) * 100.0),
        ),
    };
    format!(
        "| {}, {limit} | {} | {name} | {:.0} | {:.0} | {seconds:.0} | {most} | {:.3} | {:.0} | {} |",
        device.name,
        load.name(),
        outcome.tokens,
        outcome.joules,
        outcome.tokens_per_joule(),
        outcome.interactive_tokens,
        wait(outcome),
    )
}
