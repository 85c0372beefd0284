//! What the governor promises, on three devices with three loads, over many seeds.

use std::time::Duration;

use rushlight_monitor::governor::{
    Battery, Governor, Ladder, Limits, Load as Busy, OVERSHOOT_CELSIUS, OVERSHOOT_WATTS_SHARE,
    Observed, Phase, SAFE_SHARE, Shape,
};
use rushlight_monitor::simulate::{
    Device, Load, Outcome, Policy, Random, Scenario, devices, loads, run,
};

const SEEDS: u64 = 6;
const OURS: Policy = Policy::Governor { clocks: &[] };
const WITH_CLOCKS: Policy = Policy::Governor { clocks: &[0.9, 0.8, 0.7, 0.6, 0.5] };

fn scenario(device: &Device, load: Load, limits: Limits, seed: u64) -> Scenario {
    Scenario {
        device: device.clone(),
        load,
        seconds: 1500.0,
        seed,
        limits,
        pass_seconds: 0.0,
        air: |_| 25.0,
        is_warm: false,
        spoil: |_, _| {},
    }
}

fn heat(celsius: f64) -> Limits {
    Limits { max_celsius: Some(celsius), ..Limits::default() }
}

fn watts(watts: f64) -> Limits {
    Limits { watts: Some(watts), ..Limits::default() }
}

/// Every device with every load under many seeds.
fn each(mut see: impl FnMut(&Device, Load, u64)) {
    for device in devices() {
        for load in loads() {
            for seed in 0..SEEDS {
                see(&device, load, seed);
            }
        }
    }
}

/// Fails with all that is wrong.
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn heat_is_held() {
    let mut wrong = Vec::new();
    let mut worst = f64::NEG_INFINITY;
    each(|device, load, seed| {
        let mut random = Random::new(seed + 1000);
        let limit = random.between(60.0, 75.0);
        let airs: [fn(f64) -> f64; 4] = [
            |_| 20.0,
            |_| 30.0,
            // A case that is put in the sun, and a fan that stops.
            |t| 25.0 + 12.0 * (t / 900.0).min(1.0),
            |t| if t < 600.0 { 15.0 } else { 30.0 },
        ];
        let scenario = Scenario {
            air: airs[seed as usize % 4],
            is_warm: seed % 2 == 1,
            ..scenario(device, load, heat(limit), seed)
        };
        for policy in [OURS, WITH_CLOCKS] {
            let outcome = run(&scenario, policy);
            worst = worst.max(outcome.most_too_hot);
            if outcome.most_too_hot > OVERSHOOT_CELSIUS {
                let over = outcome.most_too_hot;
                wrong.push(format!("{} {load:?} {seed} {limit:.0}: {over:.2}", device.name));
            }
        }
    });
    println!("worst: {worst:.2} °C above");
    none(&wrong);
}

#[test]
fn watts_are_held() {
    let mut wrong = Vec::new();
    let mut worst = f64::NEG_INFINITY;
    each(|device, load, seed| {
        let mut random = Random::new(seed + 2000);
        let limit = device.board_watts * random.between(1.8, 3.5);
        let scenario = scenario(device, load, watts(limit), seed);
        for policy in [OURS, WITH_CLOCKS] {
            let outcome = run(&scenario, policy);
            worst = worst.max(outcome.most_too_much);
            if outcome.most_too_much > OVERSHOOT_WATTS_SHARE {
                let over = outcome.most_too_much * 100.0;
                wrong.push(format!("{} {load:?} {seed} {limit:.1} W: {over:.0} %", device.name));
            }
        }
    });
    println!("worst: {:.1} % above", worst * 100.0);
    none(&wrong);
}

#[test]
fn limits_are_held_with_passes_of_seconds_too() {
    let mut wrong = Vec::new();
    let (mut hot, mut much) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    each(|device, load, seed| {
        let mut random = Random::new(seed + 5000);
        let pass_seconds = random.between(0.5, 3.0);
        let limits = Limits {
            max_celsius: Some(random.between(60.0, 75.0)),
            watts: Some(device.board_watts * random.between(1.8, 3.5)),
            ..Limits::default()
        };
        let scenario = Scenario { pass_seconds, ..scenario(device, load, limits, seed) };
        let outcome = run(&scenario, OURS);
        (hot, much) = (hot.max(outcome.most_too_hot), much.max(outcome.most_too_much));
        let told = format!("{} {load:?} {seed}, passes of {pass_seconds:.1} s", device.name);
        if outcome.most_too_hot > OVERSHOOT_CELSIUS {
            wrong.push(format!("{told}: {:.2} °C", outcome.most_too_hot));
        }
        // In ten seconds there may be one pass more than in the next ten.
        if outcome.most_too_much > OVERSHOOT_WATTS_SHARE + pass_seconds / 10.0 {
            wrong.push(format!("{told}: {:.0} %", outcome.most_too_much * 100.0));
        }
    });
    println!("worst: {hot:.2} °C and {:.0} % above", much * 100.0);
    none(&wrong);
}

#[test]
fn clocks_for_writing_cost_nothing_and_save_joules() {
    let mut wrong = Vec::new();
    let (mut slowest, mut dearest) = (f64::INFINITY, f64::NEG_INFINITY);
    each(|device, load, seed| {
        // A chip that stays cool: the kernel takes nothing away.
        let scenario =
            Scenario { air: |_| -30.0, ..scenario(device, load, Limits::default(), seed) };
        let (full, ours) = (run(&scenario, OURS), run(&scenario, WITH_CLOCKS));
        let (tokens, joules) = (ours.tokens / full.tokens, ours.joules / full.joules);
        (slowest, dearest) = (slowest.min(tokens), dearest.max(joules));
        if tokens < 0.97 || joules > 1.001 {
            wrong.push(format!("{} {load:?} {seed}: {tokens:.3}, {joules:.3}", device.name));
        }
    });
    println!("tokens at least {slowest:.3}, joules at most {dearest:.3}");
    none(&wrong);
}

#[test]
fn it_does_not_swing() {
    let mut wrong = Vec::new();
    let (mut worst, mut worst_of_all) = (0, 0);
    each(|device, load, seed| {
        for limits in [heat(device.limit_celsius), watts(device.limit_watts)] {
            let outcome = run(&scenario(device, load, limits.clone(), seed), OURS);
            let (minute, all) = (outcome.most_turns(60), outcome.most_turns(1500));
            (worst, worst_of_all) = (worst.max(minute), worst_of_all.max(all));
            if minute > 6 || all > 45 {
                wrong.push(format!("{} {load:?} {seed} {limits:?}: {minute}, {all}", device.name));
            }
        }
    });
    println!("worst: {worst} turns in a minute, {worst_of_all} in 25 minutes");
    none(&wrong);
}

#[test]
fn full_speed_comes_back_with_cool_air() {
    let mut wrong = Vec::new();
    each(|device, load, seed| {
        let scenario = Scenario {
            seconds: 3000.0,
            air: |t| if t < 1000.0 { 40.0 } else { -15.0 },
            ..scenario(device, load, heat(75.0), seed)
        };
        let outcome = run(&scenario, OURS);
        let slowed = outcome.trace[..1000].iter().any(|t| t.position > 0);
        let last = outcome.trace.last().map(|t| t.position);
        if !slowed || last != Some(0) {
            wrong.push(format!("{} {load:?} {seed}: {slowed} {last:?}", device.name));
        }
    });
    none(&wrong);
}

#[test]
fn a_lower_limit_is_never_more() {
    let mut wrong = Vec::new();
    each(|device, load, seed| {
        if seed > 2 {
            return;
        }
        let hot: Vec<Limits> = [60.0, 66.0, 72.0, 78.0].into_iter().map(heat).collect();
        let idle = device.board_watts;
        let power: Vec<Limits> =
            [1.8, 2.3, 2.8, 3.3].into_iter().map(|n| watts(idle * n)).collect();
        for ladder in [hot, power] {
            let outcomes: Vec<Outcome> = ladder
                .iter()
                .map(|limits| run(&scenario(device, load, limits.clone(), seed), OURS))
                .collect();
            for two in outcomes.windows(2) {
                // A device that is slower has more to do later, and less waits at the end.
                if two[0].joules > two[1].joules * 1.03 || two[0].tokens > two[1].tokens * 1.05 {
                    let of = |o: &Outcome| format!("{:.0} J {:.0} tokens", o.joules, o.tokens);
                    let (low, high) = (of(&two[0]), of(&two[1]));
                    wrong.push(format!("{} {load:?} {seed}: {low}, {high}", device.name));
                }
            }
        }
    });
    none(&wrong);
}

/// A governor's device under full work, whose sensors tell what `tell` says.
fn play(
    limits: Limits,
    seconds: u64,
    mut tell: impl FnMut(u64, &mut Observed),
) -> (Governor, Vec<(f64, Vec<String>)>) {
    let mut governor = Governor::new(limits, Ladder::new(&Shape::new(4, 512)));
    let mut seen = Vec::new();
    for n in 0..seconds {
        let load = Busy { busy: 1.0, phase: Phase::Answers, ..Busy::default() };
        let mut observed = Observed { local_minute: 720, load, ..Observed::default() };
        tell(n, &mut observed);
        let decision = governor.step(Duration::from_secs(n), &observed);
        seen.push((governor.position().power, decision.faults));
    }
    (governor, seen)
}

#[test]
fn a_limit_of_watts_is_gone_up_to_from_below() {
    let (_, seen) = play(watts(7.0), 2, |_, observed| {
        // Nothing is asked for yet: what full work draws is not known.
        (observed.load.busy, observed.watts) = (0.0, Some(2.0));
    });
    assert!(seen[0].0 <= 0.25, "{seen:?}");
}

#[test]
fn a_limit_is_never_answered_with_full_speed_in_the_dark() {
    type Tell = fn(u64, &mut Observed);
    let cool = |n: u64| Some(40.0 + (n % 7) as f64 / 10.0);
    let cases: [(&str, Limits, Tell); 6] = [
        ("no temperature", heat(70.0), |_, _| {}),
        ("no watts", watts(7.0), |_, _| {}),
        ("no number", heat(70.0), |_, o| o.celsius = Some(f64::NAN)),
        ("millidegrees", heat(70.0), |_, o| o.celsius = Some(40_000.0)),
        ("nothing drawn", watts(7.0), |_, o| o.watts = Some(0.0)),
        ("less than nothing drawn", watts(7.0), |_, o| o.watts = Some(-3.0)),
    ];
    for (name, limits, tell) in cases {
        // From the start.
        let (_, seen) = play(limits.clone(), 60, tell);
        for (n, (power, faults)) in seen.iter().enumerate() {
            assert!(*power <= SAFE_SHARE, "{name}: {power} at {n}");
            assert!(!faults.is_empty(), "{name}: no fault at {n}");
        }
        // And after a while of sense, and before more of it.
        let (_, seen) = play(limits, 1000, |n, o| {
            (o.celsius, o.watts) = (cool(n), Some(2.0 + (n % 5) as f64 / 100.0));
            if (300..400).contains(&n) {
                (o.celsius, o.watts) = (None, None);
                tell(n, o);
            }
        });
        assert!(seen[299].0 > SAFE_SHARE && seen[299].1.is_empty(), "{name}: {:?}", seen[299]);
        for (n, (power, faults)) in seen.iter().enumerate().take(400).skip(305) {
            assert!(
                *power <= SAFE_SHARE && !faults.is_empty(),
                "{name} at {n}: {power} {faults:?}"
            );
        }
        assert!(seen[999].0 > SAFE_SHARE && seen[999].1.is_empty(), "{name}: {:?}", seen[999]);
    }
}

#[test]
fn a_sensor_that_stands_still_is_found_out() {
    let mut wrong = Vec::new();
    each(|device, load, seed| {
        // It works until the device is warm, then stays where it was.
        let spoil = |t: f64, observed: &mut Observed| {
            if t > 200.0 {
                observed.celsius = Some(50.0);
            }
        };
        let limits = heat(device.limit_celsius);
        let scenario = Scenario { spoil, ..scenario(device, load, limits, seed) };
        let ladder = Ladder::new(&device.shape());
        let outcome = run(&scenario, OURS);
        let last = outcome.trace.last().map_or(0, |t| t.position);
        if ladder.at(last).power > SAFE_SHARE {
            wrong.push(format!("{} {load:?} {seed}: step {last}", device.name));
        }
    });
    none(&wrong);
}

#[test]
fn nights_and_low_batteries_have_limits_of_their_own() {
    // From the 600th second to the 1100th.
    type Spoil = fn(f64, &mut Observed);
    let night: Spoil = |t, o| {
        o.local_minute = if (600.0..1100.0).contains(&t) { 23 * 60 } else { 12 * 60 };
    };
    let battery: Spoil = |t, o| {
        let percent = Some(if (600.0..1100.0).contains(&t) { 20.0 } else { 80.0 });
        o.battery = Some(Battery { feeds: true, percent });
    };
    for device in devices() {
        let less = device.board_watts * 1.9;
        let quiet = |text: &str| Limits { quiet: vec![text.parse().unwrap()], ..Limits::default() };
        let low = |text: &str| Limits { battery: Some(text.parse().unwrap()), ..Limits::default() };
        let cases = [
            (quiet(&format!("22:00-06:00={less}")), night, Some(less)),
            (quiet("22:00-06:00"), night, None),
            (low(&format!("30={less}")), battery, Some(less)),
            (low("30"), battery, None),
        ];
        for (limits, spoil, watts) in cases {
            // In air so cold that the kernel does not throttle.
            let air: fn(f64) -> f64 = |_| -10.0;
            let scenario = Scenario { spoil, air, ..scenario(&device, Load::Steady, limits, 1) };
            let trace = run(&scenario, OURS).trace;
            let mean = |from: usize, to: usize| {
                trace[from..to].iter().map(|t| t.watts).sum::<f64>() / (to - from) as f64
            };
            let (before, during, after) = (mean(500, 590), mean(620, 1090), mean(1300, 1490));
            let most = watts.unwrap_or(before * 0.95);
            let why = format!("{}: {before:.2} {during:.2} {after:.2} {watts:?}", device.name);
            assert!(during <= most && during < before, "{why}");
            assert!((after / before - 1.0).abs() < 0.05, "{why}");
            assert_eq!(trace[598].position, 0, "{why}");
        }
    }
}

#[test]
fn people_who_wait_are_slowed_last() {
    for device in devices() {
        let limits = heat(device.limit_celsius);
        let scenario =
            |limits| Scenario { seconds: 3600.0, ..scenario(&device, Load::Mixed, limits, 3) };
        let ours = run(&scenario(limits.clone()), OURS);
        let full = run(&scenario(limits), Policy::Nobody);
        let batch = |o: &Outcome| o.tokens - o.interactive_tokens;
        let kept = ours.interactive_tokens / full.interactive_tokens;
        let kept_of_batch = batch(&ours) / batch(&full);
        assert!(kept > 0.98, "{}: {kept}", device.name);
        assert!(kept_of_batch < 0.75, "{}: {kept_of_batch}", device.name);
        assert!(ours.wait_seconds < full.wait_seconds * 1.7, "{}: {ours:?}", device.name);
    }
}

#[test]
fn another_ladder_keeps_what_was_learnt() {
    let ladder = |threads| Ladder::new(&Shape::new(threads, 512));
    let mut governor = Governor::new(heat(70.0), ladder(4));
    let load = Busy { busy: 1.0, phase: Phase::Prompts, ..Busy::default() };
    let step = |governor: &mut Governor, second: u64, celsius| {
        let observed = Observed { celsius, load, ..Observed::default() };
        governor.step(Duration::from_secs(second), &observed)
    };
    // The sensor is gone.
    for second in 0..30 {
        step(&mut governor, second, None);
    }
    let power = governor.position().power;
    assert!(power <= SAFE_SHARE, "{power}");
    governor.set_ladder(ladder(8));
    let draws = governor.position().power;
    assert!(draws <= power && draws > power / 2.0, "{draws} after {power}");
    let after = step(&mut governor, 30, None);
    assert!(!after.faults.is_empty() && governor.position().power <= SAFE_SHARE, "{after:?}");
    // At full speed it stays there.
    let mut idle = Governor::new(heat(70.0), ladder(4));
    step(&mut idle, 0, Some(40.0));
    idle.set_ladder(ladder(8));
    assert_eq!((idle.position().setting.threads, idle.position().setting.duty), (8, 1.0));
}

#[test]
fn nothing_that_is_read_upsets_it() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1.0,
        0.0,
        1e-300,
        1e300,
        70.0,
        7.0,
        f64::MIN_POSITIVE,
    ];
    let limits = Limits {
        watts: Some(7.0),
        max_celsius: Some(70.0),
        quiet: vec!["22:00-06:00".parse().unwrap()],
        battery: Some("30".parse().unwrap()),
    };
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let shape = Shape::new(random.bits() as usize % 100, random.bits() as usize % 1000);
        let mut governor = Governor::new(limits.clone(), Ladder::new(&shape));
        let mut now = Duration::ZERO;
        for _ in 0..2000 {
            let mut any = || odd[random.bits() as usize % odd.len()];
            let mut observed = Observed {
                watts: Some(any()),
                celsius: Some(any()),
                trip_celsius: Some(any()),
                battery: Some(Battery { feeds: true, percent: Some(any()) }),
                ..Observed::default()
            };
            observed.load.busy = any();
            observed.load.tokens_per_second = any();
            observed.local_minute = random.bits() as u16;
            observed.load.phase =
                [Phase::Prompts, Phase::Answers, Phase::Mixed][random.bits() as usize % 3];
            // A clock that stands, goes, jumps, and goes back.
            now = match random.bits() % 20 {
                0 => now,
                1 => now + Duration::from_secs(100_000),
                2 => now.saturating_sub(Duration::from_secs(5)),
                _ => now + Duration::from_millis(1000),
            };
            let decision = governor.step(now, &observed);
            assert!(decision.position <= governor.ladder().bottom());
            assert!(decision.setting.duty > 0.0 && decision.setting.threads > 0);
        }
    }
}
