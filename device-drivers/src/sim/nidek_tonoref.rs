//! A NIDEK TONOREF III: what an ARK measures, a second ring, and what an NT measures.

use super::{
    dice::Dice,
    nidek_ark::{ArkPrint, CurvedEye, cornea_measurements, cornea_segments},
    nidek_nt::{NtPrint, PressureForm},
    nidek_wire::transmission,
};
use chiasm_proto::{Measured, Measurement};

/// One print. The model, number, time and line style are those of `refraction`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TonorefPrint {
    pub refraction: ArkPrint,
    /// The cornea by the second ring; both or none.
    pub second_ring: [Option<CurvedEye>; 2],
    pub pressure: NtPrint,
}

impl TonorefPrint {
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x7035);
        let mut refraction = ArkPrint {
            model: "TONOREF3".into(),
            trial_lens: true,
            contact_lens: true,
            night: [None, None],
            ..ArkPrint::random(seed)
        };
        let second_ring = refraction.cornea.clone().map(|eye| {
            eye.map(|first| CurvedEye { curves: CurvedEye::random(&mut dice).curves, ..first })
        });
        // Sizes are printed once, with the second ring.
        for eye in refraction.cornea.iter_mut().flatten() {
            (eye.size_mm, eye.pupil_mm) = (None, None);
        }
        let pressure = NtPrint { form: PressureForm::WithKilopascals, ..NtPrint::random(seed) };
        Self { refraction, second_ring, pressure }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut blocks = self.refraction.blocks();
        if self.second_ring.iter().any(Option::is_some) {
            blocks.push(("Dkm", cornea_segments(&self.second_ring)));
        }
        blocks.extend(self.pressure.blocks());
        transmission(&blocks, self.refraction.style)
    }

    /// What a reading of it has to hold.
    pub fn measurements(&self) -> Vec<Measurement> {
        let mut all = self.refraction.measurements();
        let has_second = self.second_ring.iter().any(Option::is_some);
        for measurement in &mut all {
            if let Measured::Keratometry(keratometry) = &mut measurement.measured {
                keratometry.mire = has_second.then(|| "DKM".to_owned());
            }
        }
        all.extend(cornea_measurements(&self.second_ring, Some("Dkm")));
        all.extend(self.pressure.measurements());
        all
    }
}
