//! Who guesses, and what is counted.

use std::time::Duration;

use super::acceptance::Evidence;
use super::text::Proposal;
use super::*;

fn guess(guesser: &mut Guesser, text: &mut Speculator, most: usize) -> Vec<u32> {
    let pass = Pass::new((1, 1), false, (7, 512), false);
    let ask = Ask { key: 0, text, most, left: 100 };
    guesser.propose(pass, &mut [ask], 100).unwrap();
    text.guesses().to_vec()
}

fn ran(guesser: &mut Guesser, text: &mut Speculator, time: Duration) {
    let pass = Pass::new((1, 1), false, (7, 512), false);
    guesser.ran(pass, std::iter::once(text), time);
}

#[test]
fn a_draft_model_that_has_nothing_to_say_is_not_asked() {
    let mut guesser = Guesser::default();
    let mut text = guesser.follow(Speculation::Auto, &[1]);
    assert!(text.policy.pays(guesser.costs()));
    for _ in 0..100 {
        let proposal = Proposal::new(Evidence::Model, Vec::new(), 3);
        text.take_up(proposal.with_share(1.0, Duration::from_millis(1)));
        ran(&mut guesser, &mut text, Duration::from_millis(10));
        assert_eq!(text.accept(1), None);
    }
    guesser.learn(&text);
    let text = guesser.follow(Speculation::Auto, &[1]);
    assert!(!text.policy.pays(guesser.costs()));
    assert!(!text.policy.may_read(guesser.costs(), Pass::alone(7), 0, 100));
}

#[test]
fn guesses_are_counted_when_they_were_checked() {
    let mut guesser = Guesser::default();
    let mut text = guesser.follow(Speculation::Always, &[1, 2, 3, 4, 1]);
    assert_eq!(text.accept(2), None);
    assert_eq!(guess(&mut guesser, &mut text, 2), [3, 4]);
    ran(&mut guesser, &mut text, Duration::ZERO);
    assert_eq!((text.accept(3), text.accept(9)), (Some(1), None));
    let counts = Guessed { drafted: 2, accepted: 1, ..Guessed::default() };
    assert_eq!(text.guessed(), counts);
    // There was no room for these.
    assert!(guess(&mut guesser, &mut text, 2).is_empty());
    assert_eq!((text.accept(1), text.accept(2)), (None, None));
    assert_eq!(guess(&mut guesser, &mut text, 2), [3, 9]);
    text.cut(0);
    ran(&mut guesser, &mut text, Duration::ZERO);
    assert_eq!(text.accept(3), None);
    assert_eq!(text.guessed(), counts);
}

#[test]
fn several_texts_share_the_rows_of_a_pass() {
    let mut guesser = Guesser::default();
    let pass = Pass::new((3, 3), false, (7, 512), false);
    let repeats: Vec<u32> = (0..40).map(|i| i % 3).collect();
    // The second says nothing again.
    let other: Vec<u32> = (0..40).collect();
    let texts = [&repeats, &other, &repeats];
    let mut texts = texts.map(|tokens| guesser.follow(Speculation::Auto, tokens));
    let mut counts = Vec::new();
    for _ in 0..2 {
        let asks = texts.iter_mut().map(|text| Ask { key: 0, text, most: 9, left: 9 });
        guesser.propose(pass, &mut asks.collect::<Vec<_>>(), 100).unwrap();
        counts.push(texts.each_ref().map(|text| text.guesses().len()));
        let drafts: usize = counts.last().into_iter().flatten().sum();
        let time = Duration::from_millis(100 + drafts as u64);
        guesser.ran(pass, texts.iter_mut(), time);
    }
    assert_eq!(counts, [[0, 0, 0], [2, 0, 1]]);
}
