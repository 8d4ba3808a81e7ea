//! Arbitrary measurements.

use super::{hundredths, maybe_hundredths, maybe_text, text};
use chiasm_proto::*;
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Boxed like the others that hold many fields: the trees that shrink them stand on the stack
/// otherwise, and are too large for a test thread's.
pub fn measurement() -> BoxedStrategy<Measurement> {
    let eye = select(vec![Eye::Right, Eye::Left, Eye::Both, Eye::NotGiven]);
    (eye, maybe_text(), maybe_text(), any::<bool>(), measured())
        .prop_map(|(eye, eye_as_sent, data_set, relayed, measured)| Measurement {
            eye,
            eye_as_sent,
            data_set,
            relayed,
            measured,
        })
        .boxed()
}

fn measured() -> impl Strategy<Value = Measured> {
    let corneal_size = hundredths().prop_map(|diameter_mm| CornealSize { diameter_mm });
    let pupil_size = (hundredths(), maybe_text())
        .prop_map(|(diameter_mm, state_as_sent)| PupilSize { diameter_mm, state_as_sent });
    prop_oneof![
        biometry().prop_map(Measured::Biometry).boxed(),
        other_test().prop_map(Measured::OtherTest).boxed(),
        visual_acuity().prop_map(Measured::VisualAcuity).boxed(),
        corneal_size.prop_map(Measured::CornealSize).boxed(),
        keratometry().prop_map(Measured::Keratometry).boxed(),
        lensometry().prop_map(Measured::Lensometry).boxed(),
        pachymetry().prop_map(Measured::Pachymetry).boxed(),
        pupil_size.prop_map(Measured::PupilSize).boxed(),
        pupillary_distance().prop_map(Measured::PupillaryDistance).boxed(),
        refraction().prop_map(Measured::Refraction).boxed(),
        tonometry().prop_map(Measured::Tonometry).boxed(),
    ]
}

fn confidence() -> impl Strategy<Value = Confidence> {
    (text(), text(), any::<bool>()).prop_map(|(as_sent, scale, low)| Confidence {
        as_sent,
        scale,
        low,
    })
}

fn shots<V: Clone + std::fmt::Debug>(
    value: impl Strategy<Value = V>,
) -> impl Strategy<Value = Vec<Shot<V>>> {
    let shot =
        (option::of(any::<u32>()), option::of(value), option::of(confidence()), maybe_text());
    let shot =
        shot.prop_map(|(no, value, confidence, error)| Shot { no, value, confidence, error });
    vec(shot, 0..4)
}

fn representative<V: Clone + std::fmt::Debug>(
    value: impl Strategy<Value = V>,
) -> impl Strategy<Value = Option<Representative<V>>> {
    option::of((text(), value).prop_map(|(label, value)| Representative { label, value }))
}

fn cylinder_mode() -> impl Strategy<Value = Option<CylinderMode>> {
    option::of(select(vec![CylinderMode::Minus, CylinderMode::Plus, CylinderMode::Mixed]))
}

fn refraction_value() -> impl Strategy<Value = RefractionValue> {
    (hundredths(), hundredths(), option::of(any::<i16>()), maybe_hundredths()).prop_map(
        |(sphere, cylinder, axis_deg, spherical_equivalent)| RefractionValue {
            sphere,
            cylinder,
            axis_deg,
            spherical_equivalent,
        },
    )
}

fn refraction() -> impl Strategy<Value = Refraction> {
    let kind = select(vec![
        RefractionKind::Autorefraction,
        RefractionKind::ContactLensEquivalent,
        RefractionKind::TrialLens,
        RefractionKind::NightMinusDay,
        RefractionKind::Subjective,
        RefractionKind::Final,
        RefractionKind::PreviousPrescription,
    ]);
    let conditions =
        (kind, select(vec![Light::Day, Light::Night]), maybe_hundredths(), maybe_hundredths());
    let steps = (maybe_hundredths(), option::of(any::<u16>()), cylinder_mode());
    let values = (representative(refraction_value()), shots(refraction_value()));
    let refractor = (vision(), maybe_hundredths(), option::of(prism()));
    let all = (conditions, steps, values, refractor);
    all.prop_map(|(conditions, steps, values, refractor)| Refraction {
        kind: conditions.0,
        light: conditions.1,
        vision: refractor.0,
        vertex_distance_mm: conditions.2,
        working_distance_cm: conditions.3,
        dioptre_step: steps.0,
        axis_step_deg: steps.1,
        cylinder_mode: steps.2,
        representative: values.0,
        shots: values.1,
        add: refractor.1,
        prism: refractor.2,
    })
}

fn vision() -> impl Strategy<Value = Vision> {
    select(vec![Vision::Far, Vision::Near])
}

fn visual_acuity() -> impl Strategy<Value = VisualAcuity> {
    let correction = select(vec![
        Correction::Unaided,
        Correction::Wearing,
        Correction::Objective,
        Correction::Subjective,
        Correction::Final,
        Correction::Corrected,
    ]);
    let condition = select(vec![
        AcuityCondition::Standard,
        AcuityCondition::Pinhole,
        AcuityCondition::Low,
        AcuityCondition::Glare,
        AcuityCondition::WithAddition,
    ]);
    let texts = (text(), maybe_text(), maybe_text());
    (correction, vision(), condition, texts).prop_map(|(correction, vision, condition, texts)| {
        VisualAcuity {
            correction,
            vision,
            condition,
            as_sent: texts.0,
            letters_as_sent: texts.1,
            notation: texts.2,
        }
    })
}

fn biometry() -> impl Strategy<Value = Biometry> {
    let lengths = (maybe_hundredths(), maybe_hundredths(), maybe_hundredths());
    (lengths, maybe_text()).prop_map(|(lengths, lens_status_as_sent)| Biometry {
        axial_length_mm: lengths.0,
        aqueous_depth_mm: lengths.1,
        lens_thickness_mm: lengths.2,
        lens_status_as_sent,
    })
}

fn other_test() -> impl Strategy<Value = OtherTest> {
    let value = (text(), text(), maybe_text()).prop_map(|(name, as_sent, unit)| OtherValue {
        name,
        as_sent,
        unit,
    });
    (text(), text(), vec(value, 0..4)).prop_map(|(code, name, values)| OtherTest {
        code,
        name,
        values,
    })
}

fn meridian() -> impl Strategy<Value = Meridian> {
    (maybe_hundredths(), maybe_hundredths(), option::of(any::<i16>()))
        .prop_map(|(radius_mm, power, axis_deg)| Meridian { radius_mm, power, axis_deg })
}

fn keratometry() -> impl Strategy<Value = Keratometry> {
    let average = (maybe_hundredths(), maybe_hundredths());
    let cylinder = (maybe_hundredths(), option::of(any::<i16>()));
    let value = (meridian(), meridian(), average, cylinder)
        .prop_map(|(r1, r2, average, cylinder)| KeratometryValue {
            r1,
            r2,
            average_mm: average.0,
            average_power: average.1,
            cylinder: cylinder.0,
            cylinder_axis_deg: cylinder.1,
        })
        .boxed();
    let head = (maybe_text(), maybe_text(), maybe_hundredths());
    (head, representative(value.clone()), shots(value)).prop_map(|(head, representative, shots)| {
        Keratometry {
            mire: head.0,
            refractive_index: head.1,
            dioptre_step: head.2,
            representative,
            shots,
        }
    })
}

fn prism() -> impl Strategy<Value = Prism> {
    let base = select(vec![Base::In, Base::Out, Base::Up, Base::Down, Base::Unverified]);
    let component =
        option::of((hundredths(), base).prop_map(|(amount, base)| PrismComponent { amount, base }))
            .boxed();
    (component.clone(), component, maybe_hundredths(), option::of(any::<i16>())).prop_map(
        |(horizontal, vertical, amount, base_deg)| Prism { horizontal, vertical, amount, base_deg },
    )
}

fn lensometry() -> impl Strategy<Value = Lensometry> {
    let lens = (maybe_hundredths(), maybe_hundredths(), option::of(any::<i16>()), cylinder_mode());
    let near = (maybe_hundredths(), maybe_hundredths(), maybe_hundredths(), maybe_hundredths());
    let rest = (option::of(prism()), maybe_text(), maybe_hundredths(), maybe_text());
    let uv = maybe_hundredths();
    (lens, near, rest, uv).prop_map(|(lens, near, rest, uv)| Lensometry {
        sphere: lens.0,
        cylinder: lens.1,
        axis_deg: lens.2,
        cylinder_mode: lens.3,
        add: near.0,
        add2: near.1,
        near_sphere: near.2,
        near_sphere2: near.3,
        prism: rest.0,
        lens_type: rest.1,
        dioptre_step: rest.2,
        error: rest.3,
        uv_transmittance_percent: uv,
    })
}

fn pachymetry() -> impl Strategy<Value = Pachymetry> {
    (option::of(any::<u32>()), representative(any::<u16>()), shots(any::<u16>())).prop_map(
        |(count_as_sent, representative_um, shots_um)| Pachymetry {
            count_as_sent,
            representative_um,
            shots_um,
        },
    )
}

fn pupillary_distance() -> impl Strategy<Value = PupillaryDistance> {
    let far = (maybe_hundredths(), maybe_hundredths(), maybe_hundredths());
    let near = (maybe_hundredths(), maybe_hundredths(), maybe_hundredths());
    (far, near, maybe_hundredths()).prop_map(|(far, near, working_distance_cm)| PupillaryDistance {
        far_mm: far.0,
        right_mm: far.1,
        left_mm: far.2,
        near_mm: near.0,
        near_right_mm: near.1,
        near_left_mm: near.2,
        working_distance_cm,
    })
}

fn corrected_iop() -> impl Strategy<Value = CorrectedIop> {
    let values = (maybe_hundredths(), maybe_hundredths(), option::of(any::<u16>()));
    (text(), option::of(any::<u32>()), values, vec(text(), 0..3), maybe_text()).prop_map(
        |(label, shot_no, (corrected_mmhg, measured_mmhg, cct_um), parameters, error)| {
            CorrectedIop {
                label,
                shot_no,
                corrected_mmhg,
                measured_mmhg,
                cct_um,
                parameters,
                error,
            }
        },
    )
}

fn tonometry() -> impl Strategy<Value = Tonometry> {
    let method = select(vec![
        TonometryMethod::NonContact,
        TonometryMethod::Goldmann,
        TonometryMethod::Rebound,
        TonometryMethod::TonoPen,
        TonometryMethod::OcularResponse,
        TonometryMethod::NotGiven,
    ]);
    let value = (hundredths(), maybe_hundredths())
        .prop_map(|(iop_mmhg, iop_kpa)| IopValue { iop_mmhg, iop_kpa })
        .boxed();
    let values = (representative(value.clone()), shots(value));
    (method, option::of(any::<u32>()), values, vec(corrected_iop(), 0..3)).prop_map(
        |(method, count_as_sent, (representative, shots), corrected)| Tonometry {
            method,
            count_as_sent,
            representative,
            shots,
            corrected,
        },
    )
}
