//! The power chip of a Raspberry Pi 5, whose readings the firmware alone tells (`vcgencmd
//! pmic_read_adc`): the kernel's hwmon has no currents of it.

use std::collections::BTreeMap;
use std::io;

use crate::firmware;
use crate::probe::{Absent, Reason, Tree, board};

/// What asks the firmware for all that the chip measures.
const COMMAND: &str = "pmic_read_adc";
/// Volts and amperes of a rail that there cannot be.
const MOST: f64 = 100.0;

/// Whether the machine has such a chip.
pub(crate) fn is_there(tree: &Tree) -> bool {
    board::is_compatible(tree, "brcm,bcm2712")
}

/// The watts of all rails together of which both voltage and current are measured. What USB, fans and boards
/// on top take is in none of them.
///
/// # Errors
/// Why the firmware does not tell.
pub(crate) fn watts(tree: &Tree) -> Result<f64, Absent> {
    let absent = |reason, detail: &str| Absent { reason, detail: detail.to_owned() };
    if !tree.is_this_machine() {
        let detail = "the firmware tells it by a call of the machine itself, not in files";
        return Err(absent(Reason::Unsupported, detail));
    }
    let text = firmware::ask(COMMAND).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let detail = "only the group of `/dev/vcio_gencmd` or `/dev/vcio` may ask the firmware";
            absent(Reason::Permission, detail)
        }
        io::ErrorKind::NotFound => absent(
            Reason::Driver,
            "the firmware cannot be asked: there is no `/dev/vcio_gencmd` or `/dev/vcio`",
        ),
        io::ErrorKind::Unsupported => {
            absent(Reason::Unsupported, "this firmware does not know `pmic_read_adc`")
        }
        _ => Absent::from_io(&error),
    })?;
    sum(&text).map_err(|detail| absent(Reason::Damaged, &detail))
}

/// The sum of lines such as `VDD_CORE_A current(7)=6.22421000A` and `VDD_CORE_V volt(15)=0.86173300V`.
fn sum(text: &str) -> Result<f64, String> {
    let mut rails: BTreeMap<&str, (Option<f64>, Option<f64>)> = BTreeMap::new();
    for line in text.lines() {
        let Some((name, told)) = line.trim().split_once(char::is_whitespace) else { continue };
        let Some((_, told)) = told.split_once('=') else { continue };
        let value = |unit: char| {
            let value = told.trim().strip_suffix(unit)?.parse::<f64>().ok()?;
            (0.0..MOST).contains(&value).then_some(value)
        };
        if let Some(rail) = name.strip_suffix("_V") {
            rails.entry(rail).or_default().0 = value('V');
            if value('V').is_none() {
                return Err(format!("the voltage of {rail} makes no sense"));
            }
        } else if let Some(rail) = name.strip_suffix("_A") {
            rails.entry(rail).or_default().1 = value('A');
            if value('A').is_none() {
                return Err(format!("the current of {rail} makes no sense"));
            }
        }
    }
    // Some voltages have no current. A current without a voltage has lost it.
    if let Some((rail, _)) = rails.iter().find(|(_, rail)| matches!(rail, (None, Some(_)))) {
        return Err(format!("the voltage of {rail} is missing"));
    }
    let products = rails.values().filter_map(|(volts, amperes)| Some((*volts)? * (*amperes)?));
    products.reduce(|a, b| a + b).ok_or_else(|| "no rail has both voltage and current".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Raspberry Pi 5 (Rev 1.0, 2 GB) with four busy cores: captured in `tests/device/machine/test_rpi.py`
    /// of github.com/ml-energy/zeus (Apache-2.0), 09de54d.
    const BUSY: &str = " 3V7_WL_SW_A current(0)=0.09368929A
   3V3_SYS_A current(1)=0.08783370A
   1V8_SYS_A current(2)=0.18054710A
  DDR_VDD2_A current(3)=0.22543980A
  DDR_VDDQ_A current(4)=0.06666720A
   1V1_SYS_A current(5)=0.17566740A
    0V8_SW_A current(6)=0.37670900A
  VDD_CORE_A current(7)=6.22421000A
   3V3_DAC_A current(17)=0.00006105A
   3V3_ADC_A current(18)=0.00036630A
   0V8_AON_A current(16)=0.00305250A
      HDMI_A current(22)=0.02417580A
 3V7_WL_SW_V volt(8)=3.69977600V
   3V3_SYS_V volt(9)=3.31003300V
   1V8_SYS_V volt(10)=1.80512600V
  DDR_VDD2_V volt(11)=1.10476100V
  DDR_VDDQ_V volt(12)=0.60146460V
   1V1_SYS_V volt(13)=1.11025500V
    0V8_SW_V volt(14)=0.80146440V
  VDD_CORE_V volt(15)=0.86173300V
   3V3_DAC_V volt(20)=3.31318300V
   3V3_ADC_V volt(21)=3.30677300V
   0V8_AON_V volt(19)=0.80029220V
      HDMI_V volt(23)=5.08664000V
     EXT5V_V volt(24)=5.09066000V
      BATT_V volt(25)=0.00000000V
";

    #[test]
    fn rails_with_voltage_and_current_are_added_up() {
        assert!(BUSY.len() < 1024, "it fits into an answer");
        let watts = sum(BUSY).unwrap();
        assert!((watts - 7.239819).abs() < 1e-6, "{watts}");
        let two = "A_A current(0)=2.0A\nA_V volt(2)=3.0V\nEXT5V_V volt(24)=5.1V\n";
        assert_eq!(sum(two), Ok(6.0));
        for (text, why) in [
            ("", "no rail"),
            ("error=1 error_msg=\"Command not registered\"", "no rail"),
            ("B_V volt(1)=2.0V\n", "no rail"),
            ("A_A current(0)=2.0A\nB_A current(1)=2.0A\nA_V volt(2)=2.0V\n", "voltage of B"),
            ("A_A current(0)=nanA\nA_V volt(1)=2.0V\n", "current of A"),
            ("A_A current(0)=-1.0A\nA_V volt(1)=2.0V\n", "current of A"),
            ("A_A current(0)=2.0V\nA_V volt(1)=2.0V\n", "current of A"),
            ("A_A current(0)=2.0A\nA_V volt(1)=1e9V\n", "voltage of A"),
        ] {
            assert!(sum(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn another_machine_is_not_asked() {
        let dir = tempfile::tempdir().unwrap();
        rushlight_testkit::made_up::write_tree("raspberry-pi-5", dir.path());
        let tree = Tree::new(dir.path());
        assert!(is_there(&tree));
        assert_eq!(watts(&tree).unwrap_err().reason, Reason::Unsupported);
    }
}
